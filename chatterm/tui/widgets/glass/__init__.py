"""The panels that look inside the model, one view a file."""

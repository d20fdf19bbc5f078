"""What crosses floors: plain records of texts, tokens, checkpoints and looks inside a model."""

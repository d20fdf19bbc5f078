"""Reading many tokens at once on the weights as they are packed: the native operator for prompts."""

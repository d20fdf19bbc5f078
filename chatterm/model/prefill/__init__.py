"""Reading many tokens at once on a processor with a matrix unit: the native operator for prompts."""

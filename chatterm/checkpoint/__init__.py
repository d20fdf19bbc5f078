"""A file or folder on disk → configuration, tensors, tokenizer, chat template."""

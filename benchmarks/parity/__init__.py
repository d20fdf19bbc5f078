"""Our log-probabilities against Hugging Face transformers, for every family."""

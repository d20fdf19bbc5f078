"""Tokens → logits: embedding, blocks of attention and feed-forward, norms, rotary, cache."""

"""Logits → the next token → text: samplers, stop strings, incremental detokenising, the loop."""

"""The conversation and what is done to it, without a screen: turns, replies, branches, what is kept."""

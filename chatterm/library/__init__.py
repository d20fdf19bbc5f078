"""Conversations as trees of messages and tokens, in SQLite."""

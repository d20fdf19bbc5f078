"""Slash commands: one table for the message, the completion, the command palette, the help and the docs."""

"""Prints the table of the commands for `docs/commands.md`."""

from chatterm.tui.commands.table import document

print(document(), end="")

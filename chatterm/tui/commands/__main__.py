"""Prints the table of the commands for `docs/commands.md`."""

from chatterm.tui.commands.table import document

if __name__ == "__main__":
    print(document(), end="")

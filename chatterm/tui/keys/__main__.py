"""`python -m chatterm.tui.keys` prints the tables of `docs/keys.md`."""

from chatterm.tui import keys

if __name__ == "__main__":
    print(keys.table(), end="")

"""A checkout of chatterm whose interface is timed: this one, or another one to compare with."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

THIS = Path(__file__).parents[2]
_START = "import sys; sys.argv[0] = 'chatterm'; from chatterm.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Checkout:
    """A folder that holds the package `chatterm`; its modules are compiled once, as they are for users.

    Attributes:
        folder: with the sources.
        compiled: where this run keeps their bytecode, which may be missing beside them.
    """

    folder: Path
    compiled: Path

    def command(self, *arguments: str) -> list[str]:
        """The command `chatterm`, by this interpreter with these sources."""
        return [sys.executable, "-P", "-c", _START, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """What its processes, the engine too, find the sources by."""
        return {
            "PYTHONPATH": str(self.folder),
            "PYTHONPYCACHEPREFIX": str(self.compiled),
            "PYTHONDONTWRITEBYTECODE": "",
        }


def checkouts(other: Path | None) -> list[Checkout]:
    """This one, and the other if there is one."""
    compiled = Path(tempfile.gettempdir()) / f"chatterm-benchmarks-{os.getuid()}"
    return [Checkout(folder.resolve(), compiled) for folder in (THIS, other) if folder is not None]

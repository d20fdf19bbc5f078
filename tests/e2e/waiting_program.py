"""The program, whose application is never imported: it stays as it is until then.

First it says in the terminal's title what has been imported so far of what draws the chat and keeps it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from chatterm.tui import run

HEAVY = ("textual", "rich", "asyncio", "sqlite3", "psutil", "markdown_it", "pygments", "torch", "numpy")


def wait(*_: Any, **__: Any) -> int:
    """In the place of the application."""
    print(
        f"\x1b]0;imported: {' '.join(name for name in HEAVY if name in sys.modules)}.\x07", end="", flush=True
    )
    time.sleep(60)
    return 0


run._open = wait  # type: ignore[assignment]

if __name__ == "__main__":
    from chatterm.cli import main

    main()

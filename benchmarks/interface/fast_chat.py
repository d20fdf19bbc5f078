"""The chat with the engine of `fast_engine`: `python -m benchmarks.interface.fast_chat RATE TOKENS`."""

from __future__ import annotations

import sys
from typing import ClassVar

from chatterm.engine.client import EngineProcess
from chatterm.settings import load_settings
from chatterm.tui.app import ChattermApp


class FastEngine(EngineProcess):
    """Starts the metronome."""

    COMMAND: ClassVar[tuple[str, ...]] = (
        sys.executable,
        "-m",
        "benchmarks.interface.fast_engine",
        *sys.argv[1:],
    )


if __name__ == "__main__":
    ChattermApp(load_settings(model=__file__), start_engine=FastEngine.start).run()

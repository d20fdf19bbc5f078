"""An engine that dies when it is told to, or that no model survives: the real worker with one thing added.

Signals and limits need no help of the engine. What does: leaving with the status that a container gives for
too little memory (`SIGUSR1`), Python's own `MemoryError` wherever it stands (`SIGUSR2`), and, by the variable
`CHATTERM_TEST_DIES`, dying at every loading (`load`), at the first token of every reply (`token`), or while a
prompt is read (`prompt`).
"""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn

from chatterm.engine import worker

OUT_OF_MEMORY_STATUS = 137


def _leave(*_: object) -> NoReturn:
    os._exit(OUT_OF_MEMORY_STATUS)


def _refuse(*_: object) -> NoReturn:
    raise MemoryError


def _die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the engine."""
    signal.signal(signal.SIGUSR1, _leave)
    signal.signal(signal.SIGUSR2, _refuse)
    match os.environ.get("CHATTERM_TEST_DIES"):
        case "load":
            worker.Worker._load = _die  # type: ignore[method-assign]
        case "token":
            from chatterm.engine.reply_events import ReplyEvents

            ReplyEvents._event = _die  # type: ignore[method-assign]
        case "prompt":
            from chatterm.engine.reply import ReplyWriter

            ReplyWriter._read_prompt = _die  # type: ignore[method-assign]
    worker.main()


if __name__ == "__main__":
    main()

"""The program with a mistake in it: at SIGUSR1 it makes the one that CHATTERM_TEST_MISTAKE names."""

from __future__ import annotations

import asyncio
import os
import signal

from chatterm.tui import app
from chatterm.tui.widgets.transcript import Transcript


class MistakeError(RuntimeError):
    """Made on purpose; its text would clear the screen, were it not made inert."""


def fail(*_: object) -> None:
    raise MistakeError("on purpose \x1b[2J")


class BrokenApp(app.ChattermApp):
    """Makes a mistake where it is told to."""

    def on_load(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._break)

    def _break(self) -> None:
        match os.environ["CHATTERM_TEST_MISTAKE"]:
            case "handler":
                self.call_later(fail)
            case "drawing":
                Transcript.render_line = fail  # type: ignore[assignment,method-assign]
                self.refresh(layout=True)
            case "worker":
                self.run_worker(self._work(), exit_on_error=True)

    async def _work(self) -> None:
        fail()


if __name__ == "__main__":
    from chatterm.cli import main

    app.ChattermApp = BrokenApp  # type: ignore[misc]
    main()

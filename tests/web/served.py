"""A `chatterm web` that runs, for the tests of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Served:
    """A running `chatterm web`, in a folder of its own; with `opens` it opens the browser.

    The browser is a script that writes what it is called with into the file `asked`, and then does what
    `browser` says.
    """

    def __init__(self, folder: Path, *, opens: bool = False, browser: str = "") -> None:
        self.asked = folder / "asked"
        self.temporary = folder / "temporary"
        self.errors = folder / "errors"
        self.temporary.mkdir()
        script = folder / "browser"
        script.write_text(f'#!/bin/sh\nprintf %s "$*" > "$0.part"\nmv "$0.part" {self.asked}\n{browser}\n')
        script.chmod(0o700)
        environment = {
            **os.environ,
            "BROWSER": f"{script} %s",
            "CHATTERM_CONFIG": str(folder / "config"),
            "CHATTERM_DATA": str(folder / "data"),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.temporary),
        }
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chatterm", "web", "--port", "0", "--open" if opens else "--no-open"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                umask=0,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup
            )
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().split()[-1]
        self.address, self.secret = self.link.split("/?secret=")
        self.origin, self.place = self.address.rsplit("/", 1)
        self.port = int(self.origin.rsplit(":", 1)[1])

    def opened(self) -> str:
        """What the browser was called with."""
        wait_until(self.asked.exists)
        return self.asked.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def wait_until(condition: Callable[[], bool], patience: float = 30.0) -> None:
    """Wait for another process."""
    gives_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < gives_up, "it did not come to that"
        time.sleep(0.05)

"""The end of an engine: what it said last, and in words what it died of."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from typing import IO

from chatterm import inert, paths
from chatterm.language import _

LOG_LIMIT_BYTES = 1 << 20
TAIL_BYTES = 4096


def place_for_words() -> IO[bytes] | None:
    """A file for what an engine writes to its standard error, gone once it is closed.

    None where no temporary folder has room: an engine runs without one, it only cannot say what it died of.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return None


def last_words(stderr: IO[bytes] | None) -> str:
    """The last line that the engine wrote before it died; the lines before it are kept in `engine.log`."""
    if stderr is None:
        return ""
    try:
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - TAIL_BYTES))
        tail = stderr.read()
    except (OSError, ValueError):
        return ""
    with contextlib.suppress(OSError):
        folder = paths.log_folder()
        paths.make_private(folder)
        file = folder / "engine.log"
        begin_anew = file.exists() and file.stat().st_size > LOG_LIMIT_BYTES
        mode = "wb" if begin_anew else "ab"
        with open(file, mode, opener=paths.private_opener) as log:
            # What a library wrote about a checkpoint may quote it; whoever reads this does so in a terminal.
            log.write(inert.block(tail.decode("utf-8", "replace")).encode())
    lines = tail.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else ""


_TEMPLATE_WITHOUT_END = (
    "The engine was ended because this checkpoint's chat template takes far too long; use another checkpoint."
)
"""In English, as all that the engine says of templates that it cuts off itself."""


def obituary(status: int, last_line: str) -> str:
    """A sentence about an engine that ended with `status` after it had written `last_line`."""
    killed = status in (-signal.SIGKILL, 128 + signal.SIGKILL)  # the latter is what a container reports
    if killed or last_line.startswith("MemoryError"):
        return _("The engine was killed, most likely because memory ran out; a smaller model may fit.")
    if hasattr(signal, "SIGPROF") and status == -signal.SIGPROF:
        return _(
            "The engine was ended because this checkpoint's tokenizer takes far too long to cut a text into "
            "tokens; it is damaged, choose another."
        )
    if hasattr(signal, "SIGVTALRM") and status == -signal.SIGVTALRM:
        return _TEMPLATE_WITHOUT_END
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        return _("The engine crashed ({signal}).").format(signal=name)
    what = _("status {number}").format(number=status) + (f": {last_line}" if last_line else "")
    return _("The engine ended unexpectedly ({what}).").format(what=what)

"""Opens the link in the browser without a secret on a command line, which all users of a machine can read."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from chatterm.errors import UserError
from chatterm.language import _
from chatterm.paths import private_opener
from chatterm.web.guard import Guard, leading_to


def endings() -> list[signal.Signals]:
    """The signals that end the server in good order; a closed terminal's not where `nohup` is against it."""
    found = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


@contextlib.contextmanager
def opened(guard: Guard) -> Iterator[None]:
    """The browser opens a file that leads to the link, and that only this user can read.

    It is removed when the link was first opened, or at the end.

    Raises:
        UserError: it cannot be written.
    """
    for number in endings():  # the server has handlers of its own, once it runs
        signal.signal(number, lambda *_signal: sys.exit())
    with contextlib.ExitStack() as ends:
        try:
            folder = tempfile.TemporaryDirectory(prefix="chatterm-")
            page = Path(ends.enter_context(folder)) / "open.html"
            with open(page, "w", encoding="utf-8", opener=private_opener) as file:
                file.write(leading_to(guard.link))
        except OSError as error:
            raise UserError(
                _(
                    "The page for the browser cannot be written ({reason}); "
                    "take --no-open and open the link yourself."
                ).format(reason=error.strerror)
            ) from error
        guard.at_entry = folder.cleanup
        webbrowser.open(page.as_uri())
        yield

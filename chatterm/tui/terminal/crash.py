"""What is left of a mistake in the program itself: one sentence for the user, the rest in a file."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

from chatterm import __version__, inert, paths
from chatterm.language import _

LIMIT_BYTES = 1 << 20
"""A longer file is begun anew."""


def told(error: BaseException | None, state: str) -> str:
    """A sentence about a mistake, whose traceback is written down.

    Args:
        error: the mistake.
        state: what the keeper says of the conversation now that nothing more can be saved.
    """
    what = inert.line(f"{type(error).__name__}: {error}" if error is not None else "?")[:300]
    file = _write_down(error)
    if state == "saved":
        sentence = _("chatterm had to stop because of a mistake in it ({error}); what was said is saved.")
    elif state:
        sentence = _("chatterm had to stop because of a mistake in it ({error}); what was not saved is lost.")
    else:
        sentence = _("chatterm had to stop because of a mistake in it ({error}).")
    parts = [sentence.format(error=what)]
    if file is not None:
        parts.append(_("The details are in {file}.").format(file=inert.line(str(file))))
    return " ".join(parts)


def _write_down(error: BaseException | None) -> Path | None:
    if error is None:
        return None
    lines = inert.block("".join(traceback.format_exception(error)))
    file = paths.log_folder() / "crash.log"
    try:
        paths.make_private(file.parent)
        mode = "w" if file.exists() and file.stat().st_size > LIMIT_BYTES else "a"
        with open(file, mode, encoding="utf-8", errors="replace", opener=paths.private_opener) as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} chatterm {__version__}\n{lines}\n")
    except OSError:
        return None
    return file

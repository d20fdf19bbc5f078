"""Downloads in a line of text."""

from __future__ import annotations

from rich.cells import cell_len

from chatterm.chat.downloads import Download
from chatterm.language import _, several
from chatterm.tui.text import bars

NAME_WIDTH = 16
"""Cells for the name of a download in the status line."""


def line(running: list[Download]) -> str:
    """The running downloads in a few words: `↓ tiny:Q4_K_M 45% · 2 min left`; or ""."""
    if not running:
        return ""
    known = [one for one in running if one.total]
    total = sum(one.total or 0 for one in known)
    done = sum(one.done for one in known)
    what = (
        bars.fit(running[0].title, min(cell_len(running[0].title), NAME_WIDTH))
        if len(running) == 1
        else several("{count} download", "{count} downloads", len(running)).format(count=len(running))
    )
    text = f"↓ {what}" + (f" {done / total:.0%}" if total else " …")
    rate = sum(one.progress.per_second or 0 for one in running if one.progress is not None)
    if not rate or not total or len(known) < len(running):
        return text
    left = bars.duration(max(total - done, 0) / rate)
    return f"{text} · " + _("{time} left").format(time=left)

"""The first frame of the chat, kept from one start for the next.

Importing what draws it takes several times as long as everything before. So the next start that has the same
settings, terminal and size shows the frame that was drawn last time, and it stays until the chat has drawn
its own: the same one, unless something else has changed meanwhile. It holds no conversation and nothing that
was typed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from chatterm import __version__, language, paths
from chatterm.settings import Settings

MOST: Final = 6
"""Frames that are kept: for some sizes, and light and dark."""
MAX_BYTES: Final = 1 << 20

_VARIABLES: Final = ("TERM", "COLORTERM", "NO_COLOR", "COLORFGBG")
"""What decides which colours are used."""

_ONLY_DRAWS: Final = r"^(?:\x1b\[(?:\d+;\d+H|[\d;]*m|\d+[XG])|[^\x00-\x1f\x7f-\x9f])*\Z"
"""Places, styles, erased cells and text: nothing else goes from a file to a terminal."""


class _Frame(msgspec.Struct, frozen=True):
    circumstances: str
    light: bool | None  # the terminal's background, where it said so
    drawing: Annotated[str, Meta(pattern=_ONLY_DRAWS)]


class FirstFrames:
    """The frames that are kept in a file, for one start of the chat.

    Args:
        file: where; None: nowhere.
        circumstances: what the frame depends on, but for the background; see `circumstances`.
    """

    def __init__(self, file: Path | None, circumstances: str) -> None:
        self._file = file
        self._circumstances = circumstances

    def recall(self, light: bool | None) -> str:
        """The drawing for this background, the last one where that is not known; empty if none is kept."""
        frames = [frame for frame in self._read() if frame.circumstances == self._circumstances]
        wanted = [frame for frame in frames if frame.light == light]
        if light is None:
            wanted = frames
        return wanted[0].drawing if wanted else ""

    def keep(self, light: bool | None, drawing: str) -> None:
        """Keep a drawing for the next start; where nothing can be written none is."""
        if self._file is None:
            return
        frames = self._read()
        frame = _Frame(self._circumstances, light, drawing)
        if frames and frames[0] == frame:
            return
        others = [one for one in frames if (one.circumstances, one.light) != (frame.circumstances, light)]
        with contextlib.suppress(OSError):
            paths.make_private(self._file.parent)
            content = msgspec.json.encode([frame, *others][:MOST])
            paths.write_private(self._file, content, durable=False)

    def _read(self) -> list[_Frame]:
        if self._file is None:
            return []
        try:
            return msgspec.json.decode(paths.first_bytes(self._file, MAX_BYTES), type=list[_Frame])
        except (OSError, ValueError, RecursionError):
            return []


def file() -> Path:
    """Where they are kept."""
    return paths.cache_folder() / "first-frames.json"


def circumstances(settings: Settings, size: os.terminal_size, *also: object) -> str:
    """A digest of what the first frame depends on; `also`: what else it does."""
    facts = (
        __version__,
        msgspec.json.encode(settings),
        language.language(),
        tuple(size),
        [os.environ.get(name) for name in _VARIABLES],
        also,
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()

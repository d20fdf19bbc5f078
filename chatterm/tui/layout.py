"""Where the panel stands and how large it is, remembered from one session to the next.

It is kept beside the conversations, not in the settings: it changes with every drag of the mouse.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from chatterm import paths

Side = Literal["right", "bottom"]
LEAST_WIDTH, LEAST_HEIGHT = 30, 8
"""Cells that the panel needs to say anything."""

LEFT_WIDTH, LEFT_HEIGHT = 30, 4
"""Cells that the conversation keeps."""


MAX_BYTES = 1 << 16


class Layout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None stands for what fits the terminal."""

    side: Side = "right"
    width: Annotated[int, Meta(ge=LEAST_WIDTH, le=1000)] | None = None
    height: Annotated[int, Meta(ge=LEAST_HEIGHT, le=1000)] | None = None
    shown: bool | None = None
    view: Annotated[str, Meta(max_length=40)] = "next"

    @property
    def other_side(self) -> Side:
        """Where it does not stand."""
        return "bottom" if self.side == "right" else "right"

    def sized(self, cells: int, room: int) -> Layout:
        """The panel that many columns wide, or rows high; `room` is what it shares with the conversation."""
        least, left = (LEAST_WIDTH, LEFT_WIDTH) if self.side == "right" else (LEAST_HEIGHT, LEFT_HEIGHT)
        size = max(least, min(cells, room - left))
        field = "width" if self.side == "right" else "height"
        return msgspec.structs.replace(self, **{field: size})


def layout_file() -> Path:
    """Where the layout is kept."""
    return paths.data_folder() / "layout.json"


def load_layout(file: Path | None) -> Layout:
    """What is remembered; the defaults where nothing is, or nothing that can be read."""
    if file is None:
        return Layout()
    try:
        return msgspec.json.decode(paths.first_bytes(file, MAX_BYTES), type=Layout)
    except (OSError, ValueError, RecursionError):
        return Layout()


def save_layout(file: Path | None, layout: Layout) -> None:
    """Remember it, whole or not at all. Where nothing can be written nothing is remembered."""
    if file is None:
        return
    with contextlib.suppress(OSError):
        paths.make_private(file.parent)
        paths.write_private(file, msgspec.json.encode(layout), durable=False)  # at every step of a drag

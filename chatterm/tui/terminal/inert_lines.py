"""The last gate: nothing that a terminal would obey, and nothing that hides, leaves the screen's lines.

Foreign text is made inert where it comes in. Editors are the exception: they hold the text as it is, since it
is to be kept or sent as it is. This filter sees every line that is drawn, whoever draws it.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from chatterm import inert


class InertLines(LineFilter):
    """Makes every line inert and takes hyperlinks away; a line stays as wide as it was."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of one line. Those that are harmless, nearly always all, are the same objects."""
        found, before = [], ""
        for segment in segments:
            found.append(_inert(segment, before))
            before = (before + segment.text)[-inert.CONTEXT :]
        return found


def _inert(segment: Segment, before: str) -> Segment:
    text, style, control = segment
    if control:
        return segment
    if style is not None and style.link:
        style = style.update_link(None)
        segment = Segment(text, style)
    if text.isascii() and text.isprintable():
        return segment
    shown = inert.line(text, before)
    return segment if shown == text else _of_width(shown, cell_len(text), style)


def _of_width(text: str, width: int, style: Style | None) -> Segment:
    """A segment cut or filled to a width: signs have a cell, what they stand for often has none."""
    return Segment(set_cell_size(text, width), style)

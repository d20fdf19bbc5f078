"""Puts a screen's changed parts together, and asks only those widgets for lines of which some are seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class SparingCompositor(Compositor):
    """Textual's, which asks every widget between the first and the last changed line for all its lines.

    A sign in the message and a token in the transcript are nearly the whole screen that way; and what lies
    behind them, whose lines nobody sees, is drawn too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changing: tuple[Region, ...] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed, or None if nothing did."""
        self._changing = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changing = ()

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Where each widget is, the part of it that is drawn, and the lines of that; from the front on."""
        if not self._changing:
            yield from super()._get_renders(crop)
            return
        drawn: list[Region] = []
        for widget, (region, clip) in self.visible_widgets.items():
            shown = region.intersection(clip)
            changed = [one.intersection(shown) for one in self._changing if one.overlaps(shown)]
            seen = [one for one in changed if not any(front.contains_region(one) for front in drawn)]
            for first, end in _rows(seen):
                part = Region(shown.x, first, shown.width, end - first)
                yield region, part, widget.render_lines(part.translate(-region.offset))
                drawn.append(part)


def _rows(regions: Iterable[Region]) -> Iterator[tuple[int, int]]:
    """The rows of regions: first and end, from the top down; what overlaps or touches is one."""
    first = end = -1
    for top, bottom in sorted((region.y, region.bottom) for region in regions):
        if top > end:
            if end > first:
                yield first, end
            first = top
        end = max(end, bottom)
    if end > first:
        yield first, end

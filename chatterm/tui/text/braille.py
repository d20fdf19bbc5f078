"""Dots in braille cells: two columns and four rows of them in each."""

from __future__ import annotations

from collections.abc import Iterable

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """A picture of `width` × `height` cells. Points are shares of it, (0, 0) at the bottom left."""

    EMPTY = "\u2800"

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[0] * width for _ in range(height)]

    def dots(self, points: Iterable[tuple[float, float]]) -> None:
        """Single dots; those outside are left out."""
        for x, y in points:
            if 0 <= x <= 1 and 0 <= y <= 1:
                self._set(round(x * (2 * self.width - 1)), round((1 - y) * (4 * self.height - 1)))

    def curve(self, points: Iterable[tuple[float, float]]) -> None:
        """Dots joined by straight lines."""
        last: tuple[float, float] | None = None
        for point in points:
            if last is not None:
                steps = 1 + int(
                    max(abs(point[0] - last[0]) * 2 * self.width, abs(point[1] - last[1]) * 4 * self.height)
                )
                for step in range(steps):
                    share = step / steps
                    self.dots(
                        [
                            (
                                last[0] + share * (point[0] - last[0]),
                                last[1] + share * (point[1] - last[1]),
                            )
                        ]
                    )
            last = point
        if last is not None:
            self.dots([last])

    def _set(self, column: int, row: int) -> None:
        self._cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]

    def row(self, row: int) -> str:
        """A row of cells, the top one first."""
        return "".join(chr(0x2800 + cell) for cell in self._cells[row])

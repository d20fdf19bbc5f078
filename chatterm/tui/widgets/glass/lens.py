"""The lens: what the model would say if it stopped after each block."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _, mark
from chatterm.records.inspection import (
    Lens,
    LensLayer,
    LensPosition,
    LensRead,
    Question,
    ScaleBlock,
    ScaleFeedForward,
)
from chatterm.tui.text import bars
from chatterm.tui.widgets.glass.panel import GlassPanel, Row
from chatterm.tui.widgets.glass.shades import glyph

CANDIDATES = 3
CELL = 11
MOST_POSITIONS = 16
PERCENT, RANK, ENTROPY = 6, 5, 5
"""Cells of the columns with figures."""
NARROW = 34
"""Cells of the panel below which the column of the entropy is left out."""
LAYER = 5
"""Cells of the column in front: the cursor and the number of the block, under the word “block”."""


def short(number: int) -> str:
    """A rank in at most five cells: `1`, `4 821`, `49k`."""
    return bars.count(number) if number < 10_000 else f"{number // 1000}k"


class LensPanel(GlassPanel):
    """Blocks from the last, which is the model's answer, down to the first.

    For one token a line shows the best guess, its probability, the rank of the token that came, and the
    entropy; for a stretch of text, a cell for each position shows the best guess.
    """

    NAME: ClassVar[str] = mark("lens")
    HINTS: ClassVar[str] = mark("↑↓ block · g grid · o block off · f ffn off")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.grid = False
        self._from_last = 0  # the block under the cursor
        self._from_right = 0  # the position under it

    # --- what it needs ----------------------------------------------------------------------------------

    def _question(self, scene: Scene) -> Lens:
        positions = 1
        if self.grid:
            fitting = max(1, (self.width - LAYER) // CELL)
            positions = min(fitting, MOST_POSITIONS, len(scene.prompt.ids))
        target = scene.moment.token if scene.moment is not None else None
        return Lens(scene.prompt, CANDIDATES, target, positions)

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """The lens at the token, or at the last few."""
        return [self._question(scene)] if scene.moment is not None else []

    @property
    def _read(self) -> LensRead | None:
        return self.answers.get(self._question(self.scene))

    def _at(self, read: LensRead) -> LensPosition:
        self._from_right = min(self._from_right, len(read.positions) - 1)
        return read.positions[-1 - self._from_right]

    # --- drawing ----------------------------------------------------------------------------------------

    def body(self) -> list[Row]:
        """The column or the grid."""
        read = self._read
        if read is None or not read.positions:
            return []
        blocks = len(read.positions[-1].layers)
        self._from_last = min(self._from_last, blocks - 1)
        return self._grid(read) if self.grid else self._column(read.positions[-1])

    def cursor_row(self) -> int | None:
        """The heading stays in sight with the first block."""
        return self._from_last + 1 if self._from_last or self.top else 0

    @property
    def _shows_entropy(self) -> bool:
        """Whether there is room for its column."""
        return self.width >= NARROW

    def _geometry(self) -> tuple[int, int]:
        """Cells of the token and of the bar."""
        room = self.width - LAYER - 1 - 1 - PERCENT - 1 - RANK
        room -= 1 + ENTROPY if self._shows_entropy else 0
        bar = max(2, min(24, room // 3))
        return max(6, room - bar), bar

    def _column(self, position: LensPosition) -> list[Row]:
        token, bar = self._geometry()
        heading = bars.fit(_("block"), LAYER + 1) + bars.fit(_("best guess"), token + 1 + bar)
        figures = [(_("p"), PERCENT), (_("rank"), RANK + 1)]
        figures += [(_("nats"), ENTROPY + 1)] if self._shows_entropy else []
        heading += "".join(bars.fit_right(name, width) for name, width in figures)
        rows: list[Row] = [[Segment(heading, self.muted)]]
        for place, layer in enumerate(reversed(position.layers)):
            best = layer.candidates[0]
            came = layer.target_rank == 1
            rows.append(
                [
                    *self._number(layer.layer, place),
                    *self.cells(best.text, token, self.bold if came else self.base),
                    Segment(" " + bars.bar(best.p, bar), self.probability(best.p)),
                    Segment(bars.percent(best.p), self.base),
                    Segment(
                        f" {short(layer.target_rank) if layer.target_rank else '':>{RANK}}",
                        self.bold if came else self.base,
                    ),
                    Segment(f" {layer.entropy:{ENTROPY}.2f}" if self._shows_entropy else "", self.muted),
                ]
            )
        return rows

    def _number(self, layer: int, place: int) -> Row:
        here = place == self._from_last
        mark = "▸" if here else " "
        return [
            Segment(f"{mark}{layer:>{LAYER - 1}}", self.chosen if here else self.muted),
            Segment(" ", self.base),
        ]

    def _grid(self, read: LensRead) -> list[Row]:
        heading: Row = [Segment(bars.fit(_("read"), LAYER + 1), self.muted)]
        heading += [Segment(bars.fit(inert.token(p.text), CELL - 1) + " ", self.bold) for p in read.positions]
        rows = [heading]
        for place in range(len(read.positions[-1].layers)):
            row = self._number(read.positions[-1].layers[-1 - place].layer, place)
            for number, position in enumerate(read.positions):
                layer = position.layers[-1 - place]
                right = len(read.positions) - 1 - number == self._from_right
                row += self._cell(layer, here=place == self._from_last and right)
            rows.append(row)
        return rows

    def _cell(self, layer: LensLayer, *, here: bool) -> Row:
        best = layer.candidates[0]
        style = self.base + self.shades.style(best.p)
        if layer.target_rank == 1:
            style += Style(bold=True, underline=True)
        if here:
            style += Style(reverse=True)
        text = bars.fit(inert.token(best.text), CELL - 2)
        return [Segment(text + glyph(best.p), style), Segment(" ", self.base)]

    def notes(self) -> list[str]:
        """The guesses of the block under the cursor, and how to read it."""
        read = self._read
        if read is None or not read.positions:
            return ["", "", ""]
        position = self._at(read)
        layer = position.layers[-1 - min(self._from_last, len(position.layers) - 1)]
        guesses = " ".join(
            f"{inert.token(c.text)} {bars.percent(c.p).strip()}" for c in layer.candidates[:CANDIDATES]
        )
        came = ""
        if position.target is not None and layer.target_p is not None and layer.target_rank:
            came = _("{token} came: {p}, rank {rank}").format(
                token=inert.token(position.target_text or ""),
                p=bars.percent(layer.target_p).strip(),
                rank=bars.count(layer.target_rank),
            )
        where = _("after {token}, ").format(token=inert.token(position.text)) if self.grid else ""
        legend = (
            _("underlined: what came · ░▒▓█ probability")
            if self.grid
            else _("rank: of the token that came · bold: 1")
        )
        block = _("block {layer}: {guesses}").format(layer=layer.layer, guesses=guesses)
        return [where + block, came, legend]

    # --- keys and mouse ---------------------------------------------------------------------------------

    def _move_to(self, from_last: int) -> None:
        read = self._read
        if read is not None and read.positions:
            self._from_last = min(max(0, from_last), len(read.positions[-1].layers) - 1)
            self.redraw()

    def action_move(self, down: int, right: int) -> None:
        """Another block, or in the grid another position."""
        read = self._read
        if right and self.grid and read is not None:
            self._from_right = min(max(0, self._from_right - right), len(read.positions) - 1)
        self._move_to(self._from_last + down)

    def clicked(self, x: int, row: int) -> None:
        """Choose a block, in the grid a position too."""
        read = self._read
        if self.grid and read is not None and x > LAYER:
            column = min((x - LAYER - 1) // CELL, len(read.positions) - 1)
            self._from_right = len(read.positions) - 1 - column
        self._move_to(row - 1)

    def action_grid(self) -> None:
        """One token, or several positions side by side."""
        self.grid = not self.grid
        self._from_right = 0
        self.ask()

    @property
    def _layer(self) -> int | None:
        read = self._read
        if read is None or not read.positions:
            return None
        return read.positions[-1].layers[-1 - self._from_last].layer

    def action_off(self) -> None:
        """Skip the block under the cursor."""
        if (layer := self._layer) is not None:
            self.switch(ScaleBlock(layer))

    def action_off_mlp(self) -> None:
        """Switch its feed-forward layer off."""
        if (layer := self._layer) is not None:
            self.switch(ScaleFeedForward(layer))

"""Neurons: the strongest of the feed-forward layers here, and the words each pushes towards."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _, mark
from chatterm.records.inspection import Neurons, NeuronsRead, Question, ScaleNeuron
from chatterm.tui.text import bars
from chatterm.tui.widgets.glass.panel import GlassPanel, Row
from chatterm.tui.widgets.glass.shades import height

COUNT = 16
TOKENS = 8
LINES = 3
"""Of one neuron: its strength, what it promotes, what it suppresses."""

NAME = 12
WIDE = 44
"""Cells from which on the activation has room too."""


class NeuronsPanel(GlassPanel):
    """Three lines a neuron, strongest first; of all layers or of one."""

    NAME: ClassVar[str] = mark("neurons")
    HINTS: ClassVar[str] = mark("↑↓ neuron · ←→ layer · o off")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.of_layer: int | None = None
        self.place = 0

    def _question(self, scene: Scene) -> Neurons:
        return Neurons(scene.prompt, self.of_layer, COUNT, TOKENS)

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """The neurons of the chosen layer or of all."""
        if scene.info is not None and self.of_layer is not None:
            self.of_layer = min(self.of_layer, scene.info.layers - 1)
        return [self._question(scene)] if scene.moment is not None else []

    @property
    def _read(self) -> NeuronsRead | None:
        return self.answers.get(self._question(self.scene))

    # --- drawing ----------------------------------------------------------------------------------------

    def body(self) -> list[Row]:
        """The list."""
        read = self._read
        if read is None:
            return []
        self.place = min(self.place, max(0, len(read.neurons) - 1))
        most = max((neuron.strength for neuron in read.neurons), default=0.0) or 1.0
        wide = self.width >= WIDE
        width = max(4, self.width - NAME - (22 if wide else 9))
        rows: list[Row] = []
        for number, neuron in enumerate(read.neurons):
            here = number == self.place
            rows += [
                [
                    Segment("▸" if here else " ", self.bold),
                    Segment(
                        bars.fit(f"{neuron.layer}.{neuron.neuron}", NAME), self.chosen if here else self.bold
                    ),
                    Segment(bars.bar(neuron.strength / most, width), self.base),
                    Segment(f"{neuron.strength:8.2f}", self.base),
                    Segment(f"  act {neuron.activation:+.2f}".replace("-", "−") if wide else "", self.muted),
                ],
                [Segment("   + ", self.muted), Segment(self._words(neuron.promotes), self.base)],
                [Segment("   − ", self.muted), Segment(self._words(neuron.suppresses), self.muted)],
            ]
        return rows

    def _words(self, tokens: tuple[tuple[str, float], ...]) -> str:
        """As many tokens as fit, with the logits that they gain or lose."""
        said = ""
        for text, value in tokens:
            more = f"{inert.token(text)} {value:+.2f}  ".replace("-", "−")
            if cell_len(said) + cell_len(more) > self.width - 5:
                break
            said += more
        return said.rstrip()

    def notes(self) -> list[str]:
        """How many neurons carry half of each layer."""
        read = self._read
        where = _("all layers")
        if self.of_layer is not None:
            where = _("layer {layer}").format(layer=self.of_layer)
        if read is None or not read.active:
            return [where, "", ""]
        most = max(read.active) or 1
        line = "".join(height(number / most) for number in read.active)
        return [
            f"{where} · " + _("+ logits it adds, − takes away"),
            _("neurons that make half of a layer: {least} to {most}").format(
                least=min(read.active), most=most
            ),
            line,
        ]

    def cursor_row(self) -> int | None:
        """The last line of the chosen neuron, or the first on the way up."""
        first = self.place * LINES
        return first if first < self.top else first + LINES - 1

    # --- keys and mouse ---------------------------------------------------------------------------------

    def action_move(self, down: int, right: int) -> None:
        """Another neuron; another layer, with all of them before the first."""
        if down:
            read = self._read
            if read is not None:
                self.place = min(max(0, self.place + down), max(0, len(read.neurons) - 1))
                self.redraw()
        elif self.scene.info is not None:
            layers = self.scene.info.layers
            place = (-1 if self.of_layer is None else self.of_layer) + right
            self.of_layer = None if place < 0 else min(place, layers - 1)
            self.place = self.top = 0
            self.ask()

    def clicked(self, x: int, row: int) -> None:
        """Choose a neuron."""
        self.place = row // LINES
        self.redraw()

    def action_off(self) -> None:
        """Switch the neuron off."""
        read = self._read
        if read is not None and read.neurons:
            neuron = read.neurons[self.place]
            self.switch(ScaleNeuron(neuron.layer, neuron.neuron))

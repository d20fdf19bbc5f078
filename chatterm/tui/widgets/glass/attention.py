"""Attention: all heads at a glance, and for one of them where this token looks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rich.segment import Segment
from rich.style import Style

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _, mark
from chatterm.records.inspection import (
    AttentionHead,
    AttentionOverview,
    AttentionOverviewRead,
    AttentionRead,
    HeadPatterns,
    HeadPatternsRead,
    Question,
    ScaleHead,
)
from chatterm.tui.text import bars
from chatterm.tui.widgets.glass import heat_map, shaded_text, shades
from chatterm.tui.widgets.glass.panel import GlassPanel, Row
from chatterm.tui.widgets.glass.shades import glyph, height

Measure = Literal["entropy", "strongest", "chosen"]
MEASURES: tuple[Measure, ...] = ("entropy", "strongest", "chosen")
HEAD = 6
"""Cells in front of a row of the overview."""

MAP_ROWS = 96
PATTERN = 24
STRONGEST = 4


class AttentionPanel(GlassPanel):
    """Above, a cell for every head: layers to the right, heads downwards. Below, one head's text or map."""

    NAME: ClassVar[str] = mark("attention")
    HINTS: ClassVar[str] = mark("↑↓←→ head · m measure · ,. token · h map · p patterns · o off")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.of_layer = self.head = 0
        self.measure: Measure = "entropy"
        self.to: int | None = None  # the chosen token
        self.lower: Literal["text", "map", "patterns"] = "text"
        self._first_layer = self._first_head = 0
        self._cell = 1
        self._places: dict[tuple[int, int], int] = {}  # (body row, cell) → token

    # --- what it needs ----------------------------------------------------------------------------------

    def _chosen(self, scene: Scene) -> int | None:
        last = len(scene.prompt.ids) - 1
        return None if self.to is None or last < 0 else min(max(0, self.to), last)

    def _overview_question(self, scene: Scene) -> AttentionOverview:
        return AttentionOverview(scene.prompt, self._chosen(scene) if self.measure == "chosen" else None)

    def _head_question(self, scene: Scene) -> AttentionHead:
        rows = min(MAP_ROWS, len(scene.prompt.ids)) if self.lower == "map" else 1
        return AttentionHead(scene.prompt, self.of_layer, self.head, rows)

    def _patterns_question(self, scene: Scene) -> HeadPatterns:
        return HeadPatterns(scene.prompt, layer=self.of_layer, size=PATTERN)

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """The overview, then the head under the cursor."""
        if scene.moment is None:
            return []
        if scene.info is not None:
            self.of_layer = min(self.of_layer, scene.info.layers - 1)
            self.head = min(self.head, scene.info.heads - 1)
        last = self._patterns_question(scene) if self.lower == "patterns" else self._head_question(scene)
        return [self._overview_question(scene), last]

    @property
    def _overview(self) -> AttentionOverviewRead | None:
        return self.answers.get(self._overview_question(self.scene))

    @property
    def _read(self) -> AttentionRead | None:
        return self.answers.get(self._head_question(self.scene)) if self.lower != "patterns" else None

    # --- drawing ----------------------------------------------------------------------------------------

    def body(self) -> list[Row]:
        """The overview, and below it what was chosen."""
        overview = self._overview
        self._places = {}
        if overview is None:
            return []
        rows = [*self._grid(overview), self._about(overview), []]
        room = self.room - len(rows)
        if self.lower == "patterns":
            return rows + self._patterns(room)
        question = self._head_question(self.scene)
        if trouble := self.answers.trouble(question):
            return rows + self.sentences(trouble)
        read = self._read
        if read is None:
            return rows
        return rows + (self._map(read, room) if self.lower == "map" else self._text(read, room, len(rows)))

    def notes(self) -> list[str]:
        """What the shades of the overview mean."""
        overview = self._overview
        if overview is None:
            return [""]
        return [_("above: {what}").format(what=self._legend(overview)) + " ░▒▓█"]

    def _legend(self, overview: AttentionOverviewRead) -> str:
        match self.measure:
            case "entropy":
                least, most = self._range(overview)
                return _("entropy, {least} to {most} nats").format(least=f"{least:.2f}", most=f"{most:.2f}")
            case "strongest":
                return _("strongest single weight, 0 to 100%")
        chosen = self._chosen(self.scene)
        word = inert.token(overview.tokens[chosen]) if chosen is not None else "…"
        word = bars.fit(word, min(16, len(word) + 1)).strip()
        return _("weight on {token} ({position}), 0 to 100%").format(token=word, position=chosen)

    def _values(self, overview: AttentionOverviewRead) -> tuple[tuple[float, ...], ...]:
        match self.measure:
            case "entropy":
                return overview.entropy
            case "strongest":
                return overview.strongest_weight
        return overview.weight or ()

    def _range(self, overview: AttentionOverviewRead) -> tuple[float, float]:
        """What the faintest and the strongest shade stand for; entropies may all be high."""
        if self.measure != "entropy":
            return 0.0, 1.0
        every = [value for heads in overview.entropy for value in heads] or [0.0]
        return (min(every), max(every)) if max(every) > min(every) else (0.0, max(every) or 1.0)

    def _grid(self, overview: AttentionOverviewRead) -> list[Row]:
        layers, heads = len(overview.entropy), max((len(row) for row in overview.entropy), default=0)
        room = self.width - HEAD
        self._cell = max(1, min(4, room // max(1, layers)))
        shown_layers = min(layers, room // self._cell)
        shown_heads = min(heads, max(3, self.room // 2 - 2))
        self._first_layer = _window(self._first_layer, self.of_layer, shown_layers, layers)
        self._first_head = _window(self._first_head, self.head, shown_heads, heads)
        values, (least, most) = self._values(overview), self._range(overview)
        rows: list[Row] = [self._ruler(shown_layers)]
        last = self._first_head + shown_heads - 1
        for head in range(self._first_head, self._first_head + shown_heads):
            here = head == self.head
            row: Row = [
                Segment(f"{'▸' if here else ' '}h{head:<{HEAD - 3}}", self.bold if here else self.muted),
                Segment(self._more(head, last, heads), self.muted),
            ]
            for layer in range(self._first_layer, self._first_layer + shown_layers):
                is_known = layer < len(values) and head < len(values[layer])
                share = (values[layer][head] - least) / (most - least) if is_known else 0.0
                row.append(self._grid_cell(share, here=here and layer == self.of_layer))
            rows.append(row)
        return rows

    def _more(self, head: int, last: int, heads: int) -> str:
        """A sign beside the first and the last head in sight, where there are others beyond."""
        if head == self._first_head and head:
            return "↑"
        return "↓" if head == last and last < heads - 1 else " "

    def _grid_cell(self, share: float, *, here: bool) -> Segment:
        if here:
            return Segment("◆".center(self._cell), self.chosen)
        style = self.base + Style(color=self.shades.colour(0.25 + 0.75 * share))
        return Segment(glyph(share) * self._cell, style)

    def _ruler(self, shown: int) -> Row:
        text = ""
        for layer in range(self._first_layer, self._first_layer + shown):
            at = (layer - self._first_layer) * self._cell
            if layer % 5 == 0 and at >= len(text) + bool(text):
                text = text.ljust(at) + str(layer)
        return [Segment(bars.fit(_("layer"), HEAD), self.muted), Segment(text, self.muted)]

    def _about(self, overview: AttentionOverviewRead) -> Row:
        if self.of_layer >= len(overview.entropy) or self.head >= len(overview.entropy[self.of_layer]):
            return []
        position = overview.strongest[self.of_layer][self.head]
        weight = overview.strongest_weight[self.of_layer][self.head]
        word = inert.token(overview.tokens[position])
        entropy = overview.entropy[self.of_layer][self.head]
        says = f" {entropy:.2f} nats → {word} {bars.percent(weight).strip()}"
        head = _("head {name}").format(name=f"{self.of_layer}.{self.head}")
        return [Segment(head, self.bold), Segment(says, self.base)]

    # --- one head over the text -------------------------------------------------------------------------

    def _text(self, read: AttentionRead, room: int, above: int) -> list[Row]:
        weights = read.weights[-1]
        hidden = 0 if read.window is None else max(0, len(weights) - read.window)
        shown = shaded_text.tail(read.tokens, self.width, max(1, (room - 3 - bool(hidden)) // 2), hidden)
        first = shown[0][0].position if shown else 0
        most = max(weights[1:], default=0.0) or 1.0
        rows = [self._sink(weights, hidden, first, most)]
        if hidden:
            said = _("{count} earlier are outside the window of {window}").format(
                count=bars.count(hidden), window=read.window
            )
            rows.append([Segment(bars.fit(f"┊ {said} ┊", self.width), self.muted)])
        for line in shown:
            for under in (False, True):
                row: Row = []
                for piece in line:
                    share = min(1.0, weights[piece.position] / most)
                    if under:
                        row.append(Segment(height(share) * piece.width, self.base))
                        continue
                    style = self.base + self.shades.style(share)
                    if piece.position == self._chosen(self.scene):
                        style += Style(underline=True, bold=True)
                    row.append(Segment(piece.text, style))
                    for cell in range(piece.start, piece.start + piece.width):
                        for line_number in (0, 1):
                            self._places[above + len(rows) + line_number, cell] = piece.position
                rows.append(row)
        return rows + self._strongest(read, weights)

    def _sink(self, weights: tuple[float, ...], hidden: int, first: int, most: float) -> Row:
        share = bars.percent(weights[0]).strip() if not hidden else _("not visible")
        parts = [_("first token {share}").format(share=share)]
        if first > max(1, hidden):
            before = sum(weights[max(1, hidden) : first])
            count, share = bars.count(first - max(1, hidden)), bars.percent(before).strip()
            parts.append(_("{count} more {share}").format(count=count, share=share))
        parts.append(f"█ {bars.percent(most).strip()}")
        return [Segment(bars.fit(" · ".join(part for part in parts if part), self.width), self.muted)]

    def _strongest(self, read: AttentionRead, weights: tuple[float, ...]) -> list[Row]:
        ranked = sorted(range(len(weights)), key=lambda p: -weights[p])[:STRONGEST]
        words = " · ".join(
            f"{inert.token(read.tokens[p])} ({p}) {bars.percent(weights[p]).strip()}"
            for p in ranked
            if weights[p] > 0
        )
        return [*self.sentences(words)[:2]]

    def _map(self, read: AttentionRead, room: int) -> list[Row]:
        plain = shades.is_plain(self.app)
        first = max(0, len(read.tokens) - len(read.weights))
        square = [row[first:] for row in read.weights]
        lines = max(2, room - 2) * (1 if plain else 2)
        small, side = heat_map.pooled(square, lines, self.width // (2 if plain else 1))
        most = max((max(row, default=0.0) for row in small), default=0.0) or 1.0
        scaled = [[weight / most for weight in row] for row in small]
        rows = (
            heat_map.glyphs(scaled, self.base)
            if plain
            else heat_map.half_blocks(scaled, self.shades, self.base)
        )
        stretch = _("the last {count} tokens") if first else _("all {count} tokens")
        note = _("{tokens}, read ↓, looked at → · brightest {share}").format(
            tokens=stretch.format(count=len(square)), share=bars.percent(most).strip()
        )
        if side > 1:
            note += " · " + _("{size} to a cell, the strongest").format(size=f"{side} × {side}")
        return [*self.sentences(note), *rows]

    # --- small maps of a layer's heads ------------------------------------------------------------------

    def _patterns(self, room: int) -> list[Row]:
        question = self._patterns_question(self.scene)
        if trouble := self.answers.trouble(question):
            return self.sentences(trouble)
        read: HeadPatternsRead | None = self.answers.get(question)
        if read is None or not read.maps:
            return []
        plain = shades.is_plain(self.app)
        side = len(read.maps[0]) * (2 if plain else 1)
        note = _("all heads of layer {layer}, read ↓, looked at →").format(layer=self.of_layer)
        if read.pooled > 1:
            note += " · " + _("{count} to a cell").format(count=read.pooled)
        rows: list[Row] = self.sentences(note)
        beside = max(1, (self.width + 1) // (side + 1))
        for begin in range(0, len(read.maps), beside):
            some = read.maps[begin : begin + beside]
            heads = read.heads[begin : begin + beside]
            title: Row = []
            for layer, head in heads:
                style = self.bold if head == self.head else self.muted
                title.append(Segment(bars.fit(f"{layer}.{head}", side) + " ", style))
            rows.append(title)
            drawn = []
            for weights in some:
                most = max((max(row, default=0.0) for row in weights), default=0.0) or 1.0
                scaled = [[weight / most for weight in row] for row in weights]
                drawn.append(
                    heat_map.glyphs(scaled, self.base)
                    if plain
                    else heat_map.half_blocks(scaled, self.shades, self.base)
                )
            for line in range(max(len(lines) for lines in drawn)):
                row: Row = []
                for lines in drawn:
                    row += [*(lines[line] if line < len(lines) else []), Segment(" ", self.base)]
                rows.append(row)
        return rows

    # --- keys and mouse ---------------------------------------------------------------------------------

    def cursor_row(self) -> int | None:
        """All of it fits, but for the small maps, which scroll."""
        return None if self.lower == "patterns" else 0

    def scroll_body(self, lines: int) -> None:
        """The wheel scrolls the small maps."""
        if self.lower == "patterns":
            super().scroll_body(lines)

    def _go_to(self, layer: int, head: int) -> None:
        overview = self._overview
        if overview is None:
            return
        self.of_layer = min(max(0, layer), len(overview.entropy) - 1)
        self.head = min(max(0, head), len(overview.entropy[self.of_layer]) - 1)
        self.ask()

    def action_move(self, down: int, right: int) -> None:
        """Another head."""
        self._go_to(self.of_layer + right, self.head + down)

    def action_measure(self) -> None:
        """What the shades of the overview show."""
        self.measure = MEASURES[(MEASURES.index(self.measure) + 1) % len(MEASURES)]
        if self.measure == "chosen" and self.to is None:
            self.to = max(0, len(self.scene.prompt.ids) - 2)
        self.ask()

    def action_choose(self, step: int) -> None:
        """Another earlier token, on which the overview shows the weight."""
        last = len(self.scene.prompt.ids) - 1
        self.to = min(max(0, (last if self.to is None else min(self.to, last)) + step), max(0, last))
        self.measure = "chosen"
        self.ask()

    def action_map(self) -> None:
        """The head's map, or the text."""
        self.lower = "text" if self.lower == "map" else "map"
        self.ask()

    def action_patterns(self) -> None:
        """Small maps of all heads of the layer, or the text."""
        self.lower = "text" if self.lower == "patterns" else "patterns"
        self.ask()

    def action_off(self) -> None:
        """Switch the head off."""
        if self._overview is not None:
            self.switch(ScaleHead(self.of_layer, self.head))

    def clicked(self, x: int, row: int) -> None:
        """A head of the overview, or a token of the text."""
        overview = self._overview
        if overview is None:
            return
        heads = min(len(overview.entropy[0]), max(3, self.room // 2 - 2))
        if 1 <= row <= heads and x >= HEAD:
            self._go_to(self._first_layer + (x - HEAD) // self._cell, self._first_head + row - 1)
        elif (token := self._places.get((row, x))) is not None:
            self.to = token
            self.measure = "chosen"
            self.ask()


def _window(first: int, cursor: int, shown: int, total: int) -> int:
    """The first of `shown` in sight, moved as little as the cursor asks for."""
    return max(0, min(max(first, cursor - shown + 1), cursor, total - shown))

"""Embeddings: what lies near a word, near what the model has in mind, sums of words, and a map of them."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rich.segment import Segment

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _, mark
from chatterm.records.inspection import (
    Analogy,
    EmbeddingMap,
    HiddenNeighbours,
    Neighbour,
    Neighbours,
    Question,
)
from chatterm.tui.dialogs.fields import Field, FieldsScreen
from chatterm.tui.text import bars
from chatterm.tui.text.lines import Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.glass import word_map
from chatterm.tui.widgets.glass.panel import GlassPanel, Row

COUNT = 10
FEW = 5
LOW = 26
"""Lines under which fewer neighbours are shown."""

COSINE = 6
MOST_WORDS = 60
FRAGMENT = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class EmbeddingsPanel(GlassPanel):
    """Neighbours of the token's word and of the hidden state, side by side; below, an analogy and a map."""

    NAME: ClassVar[str] = mark("embeddings")
    HINTS: ClassVar[str] = mark("←→ block · w word · a analogy · l list words")
    NEEDS_MOMENT: ClassVar[bool] = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.typed = ""  # the word, where it is not that of the token
        self.of_layer: int | None = None  # None: the last
        self.analogy: tuple[str, str, str] | None = None
        self.words: tuple[str, ...] = ()

    # --- what it needs ----------------------------------------------------------------------------------

    def _word(self, scene: Scene) -> str:
        """The word whose neighbours are shown, "" where the token is not one."""
        if self.typed or scene.moment is None:
            return self.typed
        text = scene.moment.text
        return "" if not text.strip() or FRAGMENT.fullmatch(text.strip()) else text

    def _layer(self, scene: Scene) -> int:
        last = scene.info.layers - 1 if scene.info is not None else 0
        return last if self.of_layer is None else min(self.of_layer, last)

    def _hidden(self, scene: Scene) -> HiddenNeighbours:
        return HiddenNeighbours(scene.prompt, self._layer(scene), COUNT)

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """All that is shown."""
        if scene.info is None:
            return []
        asked: list[Question[Any]] = []
        if word := self._word(scene):
            asked.append(Neighbours(word, COUNT))
        if scene.moment is not None:
            asked.append(self._hidden(scene))
        if self.analogy is not None:
            asked.append(Analogy(*self.analogy, count=FEW))
        if self.words:
            asked.append(EmbeddingMap(self.words))
        return asked

    # --- drawing ----------------------------------------------------------------------------------------

    def body(self) -> list[Row]:
        """Neighbours, analogy, map."""
        count = COUNT if self.size.height >= LOW else FEW
        rows = [*self._neighbours(count), [], *self._sum(), []]
        return rows + self._map(max(6, self.room - len(rows)))

    def _neighbours(self, count: int) -> list[Row]:
        half = (self.width - 2) // 2
        word = self._word(self.scene)
        left = self._list(
            _("near {word}").format(word=inert.token(word)) if word else _("near a word"),
            Neighbours(word, COUNT) if word else None,
            _("not a whole word; w types one") if self.scene.moment is not None else _("w types a word"),
            half,
            count,
        )
        right = self._list(
            _("state after block {layer}").format(layer=self._layer(self.scene)),
            self._hidden(self.scene) if self.scene.moment is not None else None,
            _("select a token"),
            half,
            count,
        )
        gap = Segment("  ", self.base)
        return [[*one, gap, *other] for one, other in zip(left, right, strict=True)]

    def _list(
        self, title: str, question: Neighbours | HiddenNeighbours | None, empty: str, width: int, count: int
    ) -> list[Row]:
        """A heading and `count` lines of exactly `width` cells."""
        rows: list[Row] = [[Segment(bars.fit(title, width), self.bold)]]
        read = self.answers.get(question) if question is not None else None
        if read is not None:
            rows += [self._neighbour(one, width) for one in read.neighbours[:count]]
        else:
            sentence = self.answers.trouble(question) if question is not None else empty
            rows += [
                [Segment(bars.fit(line[0].text, width), self.muted)] for line in self._narrow(sentence, width)
            ]
        rows = rows[: count + 1]
        return rows + [[Segment(" " * width, self.base)] for _ in range(count + 1 - len(rows))]

    def _narrow(self, sentence: str, width: int) -> list[Row]:
        return [[Segment(line.text, self.muted)] for line in wrap([Span(sentence)], width)]

    def _neighbour(self, one: Neighbour, width: int) -> Row:
        bar = max(0, min(8, width - COSINE - 12))
        return [
            *self.cells(one.text, width - COSINE - bar, self.base),
            Segment(bars.bar(one.cosine, bar) if bar else "", self.muted),
            Segment(f"{one.cosine:{COSINE}.3f}".replace("-", "−"), self.base),
        ]

    def _sum(self) -> list[Row]:
        if self.analogy is None:
            return [[Segment("a − b + c", self.bold), Segment("  " + _("a types three words"), self.muted)]]
        a, b, c = map(inert.line, self.analogy)
        rows: list[Row] = [[Segment(bars.fit(f"{a} − {b} + {c}", self.width), self.bold)]]
        question = Analogy(*self.analogy, count=FEW)
        read = self.answers.get(question)
        if read is None:
            return rows + self.sentences(self.answers.trouble(question) or "…")
        return rows + [self._neighbour(one, min(self.width, 48)) for one in read.neighbours]

    def _map(self, height: int) -> list[Row]:
        if not self.words:
            return [[Segment(_("map of words"), self.bold), Segment("  " + _("l lists some"), self.muted)]]
        question = EmbeddingMap(self.words)
        read = self.answers.get(question)
        if read is None:
            return [
                [Segment(_("map of words"), self.bold)],
                *self.sentences(self.answers.trouble(question) or "…"),
            ]
        lines, lost = word_map.draw(read.points, self.width, max(4, height - 2))
        x, y = read.explained
        note = _("→ {across} and ↑ {up} of the variance").format(across=f"{x:.0%}", up=f"{y:.0%}")
        if lost:
            note += " · " + _("no room for {words}").format(words=", ".join(map(inert.line, lost)))
        return [
            [Segment(_("map of words"), self.bold)],
            *([Segment(line, self.base)] for line in lines),
            [Segment(bars.fit(note, self.width), self.muted)],
        ]

    # --- keys -------------------------------------------------------------------------------------------

    def action_move(self, down: int, right: int) -> None:
        """Another block; up and down scroll."""
        if right and self.scene.info is not None:
            self.of_layer = min(max(0, self._layer(self.scene) + right), self.scene.info.layers - 1)
            self.ask()
        else:
            super().action_move(down, 0)

    def action_word(self) -> None:
        """Neighbours of a word that is typed."""
        field = Field(_("word"), self.typed, _("a space in front counts; nothing: the token's own"))
        self.app.push_screen(FieldsScreen(_("Neighbours of which word?"), (field,)), self._word_typed)

    def _word_typed(self, values: tuple[str, ...] | None) -> None:
        if values is not None:
            self.typed = values[0] if values[0].strip() else ""
            self.ask()

    def action_analogy(self) -> None:
        """Three words."""
        a, b, c = self.analogy or ("", "", "")
        fields = (Field("a", a, _("for example  king")), Field("− b", b, "man"), Field("+ c", c, "woman"))
        self.app.push_screen(FieldsScreen("a − b + c", fields), self._analogy_typed)

    def _analogy_typed(self, values: tuple[str, ...] | None) -> None:
        if values is not None:
            self.analogy = (values[0], values[1], values[2]) if all(v.strip() for v in values) else None
            self.ask()

    def action_list_words(self) -> None:
        """The words of the map."""
        field = Field(_("words"), " ".join(self.words), _("with spaces or commas between them"))
        self.app.push_screen(FieldsScreen(_("Which words should the map show?"), (field,)), self._words_typed)

    def _words_typed(self, values: tuple[str, ...] | None) -> None:
        if values is not None:
            words = re.split(r"[\s,，、]+", values[0].strip())
            self.words = tuple(dict.fromkeys(word for word in words if word))[:MOST_WORDS]
            self.ask()

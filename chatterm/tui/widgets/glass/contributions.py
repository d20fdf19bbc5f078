"""Contributions: which heads and feed-forward layers pushed a token's logit up or down."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style

from chatterm import inert
from chatterm.chat.inspection import Answers, Scene
from chatterm.language import _, mark
from chatterm.records.inspection import (
    AnyEdit,
    Contributions,
    ContributionsRead,
    Lens,
    Question,
    ScaleFeedForward,
    ScaleHead,
)
from chatterm.tui import messages
from chatterm.tui.dialogs.fields import Field, FieldsScreen
from chatterm.tui.text import bars
from chatterm.tui.widgets.glass.panel import GlassPanel, Row

NAME = 13
VALUE = 8
TWO = 2


class Part(NamedTuple):
    """One summand of the logit."""

    name: str
    value: float
    edit: AnyEdit | None = None  # that switches it off


def parts(read: ContributionsRead) -> list[Part]:
    """All summands, in the order in which data flows."""
    found = [Part(_("embedding"), read.embedding)]
    for layer, heads in enumerate(read.heads):
        found += [
            Part(_("head {name}").format(name=f"{layer}.{n}"), v, ScaleHead(layer, n))
            for n, v in enumerate(heads)
        ]
        found.append(Part(f"ffn {layer}", read.mlps[layer], ScaleFeedForward(layer)))
    return [*found, Part(_("biases"), read.bias)]


def signed_bar(value: float, most: float, width: int) -> tuple[str, str]:
    """What to draw left of the axis, in reverse, and right of it; at most `width` cells each.

    In reverse a block that fills a cell from the left leaves it filled from the right.
    """
    share = min(1.0, abs(value) / most) if most > 0 else 0.0
    if value >= 0:
        return "", bars.bar(share, width).rstrip()
    full, rest = divmod(max(1, round(share * width * 8)), 8)
    return (bars.EIGHTHS[8 - rest] if rest else "") + " " * full, ""


class ContributionsPanel(GlassPanel):
    """Signed bars, which with the embedding and the biases add up to the logit."""

    NAME: ClassVar[str] = mark("contributions")
    HINTS: ClassVar[str] = mark("s order · r runner-up · t type a token · o off")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.order: Literal["size", "layer"] = "size"
        self.versus: Literal["nothing", "runner-up", "typed"] = "nothing"
        self.typed: int | None = None  # the token to compare with
        self.place = 0

    # --- what it needs ----------------------------------------------------------------------------------

    def _guesses(self, scene: Scene) -> Lens:
        return Lens(scene.prompt, TWO, scene.moment.token if scene.moment is not None else None)

    def _runner_up(self, scene: Scene, answers: Answers) -> int | None:
        """The most probable token but for the one that came."""
        read = answers.get(self._guesses(scene))
        if read is None or not read.positions or scene.moment is None:
            return None
        best = read.positions[-1].layers[-1].candidates
        token = scene.moment.token if scene.moment.token is not None else best[0].id
        return next((c.id for c in best if c.id != token), None)

    def _question(self, scene: Scene, answers: Answers) -> Contributions | None:
        against = None
        if self.versus == "runner-up":
            against = self._runner_up(scene, answers)
            if against is None:
                return None
        elif self.versus == "typed":
            against = self.typed
        target = scene.moment.token if scene.moment is not None else None
        return Contributions(scene.prompt, target, None if against == target else against)

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """The contributions; against the runner-up, first which token that is."""
        if scene.moment is None:
            return []
        first: list[Question[Any]] = [self._guesses(scene)] if self.versus == "runner-up" else []
        question = self._question(scene, answers)
        return [*first, question] if question is not None else first

    @property
    def _read(self) -> ContributionsRead | None:
        question = self._question(self.scene, self.answers)
        return self.answers.get(question) if question is not None else None

    # --- drawing ----------------------------------------------------------------------------------------

    def _listed(self, read: ContributionsRead) -> list[Part]:
        found = parts(read)
        return sorted(found, key=lambda part: -abs(part.value)) if self.order == "size" else found

    def body(self) -> list[Row]:
        """A bar for each summand."""
        read = self._read
        if read is None:
            question = self._question(self.scene, self.answers)
            return self.sentences(self.answers.trouble(question)) if question is not None else []
        listed = self._listed(read)
        self.place = min(self.place, len(listed) - 1)
        most = max(abs(part.value) for part in listed)
        half = max(2, (self.width - NAME - VALUE - 2) // 2)
        rows: list[Row] = []
        for number, part in enumerate(listed):
            here = number == self.place
            left, right = signed_bar(part.value, most, half)
            style = self.base + Style(color=self.shades.colour(0.35 + 0.65 * abs(part.value) / (most or 1.0)))
            if part.value < 0:
                style = self.base + self.paint.surprise(math.inf)  # what speaks against it, in another colour
            rows.append(
                [
                    Segment("▸" if here else " ", self.bold),
                    Segment(bars.fit(part.name, NAME - 1), self.chosen if here else self.base),
                    Segment(" " * (half - len(left)), self.base),
                    Segment(left, style + Style(reverse=True)),
                    Segment("│", self.faint),
                    Segment(right.ljust(half), style),
                    Segment(f"{signed(part.value):>{VALUE}}", self.base),
                ]
            )
        return rows

    def notes(self) -> list[str]:
        """The sum, and what it is the sum of."""
        read = self._read
        if read is None:
            return ["", "", ""]
        heads = math.fsum(value for layer in read.heads for value in layer)
        mlps = math.fsum(read.mlps)
        total = math.fsum((read.embedding, heads, mlps, read.bias))
        word = inert.token(read.text)
        what = _("logit of {token}").format(token=word)
        if read.against is not None:
            what = _("logit {token}").format(token=word) + f" − {inert.token(read.against_text or '')}"
        cap = ""
        if read.capped is not None:
            cap = _(", after the cap {value}").format(value=f"{read.capped:.3f}")
        return [
            f"{what}: {read.logit:.3f}{cap}",
            _("sum {sum} = heads {heads} {ffn} ffn").format(
                sum=f"{total:.3f}", heads=signed(heads), ffn=signed(mlps)
            ),
            "  "
            + _("{embedding} embedding {biases} biases").format(
                embedding=signed(read.embedding), biases=signed(read.bias)
            ),
        ]

    def cursor_row(self) -> int | None:
        """The bar that is chosen."""
        return self.place

    def begin_conversation(self) -> None:
        """The token that was typed was meant for the conversation before."""
        if self.versus == "typed":
            self.versus, self.typed = "nothing", None
            self.ask()

    def show(self, scene: Scene, answers: Answers) -> None:
        """Another model calls another token by that number."""
        now, before = scene.info, self.scene.info
        if now is not None and before is not None and now.path != before.path:
            self.begin_conversation()
        super().show(scene, answers)

    # --- keys and mouse ---------------------------------------------------------------------------------

    def action_move(self, down: int, right: int) -> None:
        """Another bar."""
        read = self._read
        if read is not None and down:
            self.place = min(max(0, self.place + down), len(parts(read)) - 1)
            self.redraw()

    def clicked(self, x: int, row: int) -> None:
        """Choose a bar."""
        self.place = row
        self.redraw()

    def action_order(self) -> None:
        """By size, or as data flows."""
        self.order = "layer" if self.order == "size" else "size"
        self.place = self.top = 0
        self.redraw()

    def action_against(self) -> None:
        """Against the runner-up, or the token alone."""
        self.versus = "runner-up" if self.versus == "nothing" else "nothing"
        self.ask()

    def action_name_token(self) -> None:
        """Against a token that is typed."""
        field = Field(_("token"), hint=_("a space in front counts: “ Paris” and “Paris” are two tokens"))
        self.app.push_screen(FieldsScreen(_("Against which token?"), (field,)), self._typed)

    def _typed(self, values: tuple[str, ...] | None) -> None:
        if values and values[0]:
            self.post_message(messages.TokenTyped(values[0]))

    def compare_with(self, token: int) -> None:
        """Show the difference to this token's logit."""
        self.versus, self.typed = "typed", token
        self.ask()

    def action_off(self) -> None:
        """Switch off what the cursor is on."""
        read = self._read
        if read is not None and (edit := self._listed(read)[self.place].edit) is not None:
            self.switch(edit)


def signed(value: float) -> str:
    """A summand with its sign."""
    return f"{value:+.3f}".replace("-", "−")

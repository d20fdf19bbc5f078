"""The model as it is and as it is edited, writing on from the same place with the same random choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from chatterm import inert
from chatterm.engine.protocol import Engine, EngineDiedError, EngineError
from chatterm.language import _, mark
from chatterm.records.inspection import Compare, Compared, ComparedToken
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.text.lines import Span
from chatterm.tui.text.wrap import wrap
from chatterm.tui.widgets.two_sides import GAP, Row, TwoSides

MAX_TOKENS = 48
TABLE = 6
KL_BAR = 8
KL_CELLS = KL_BAR + 7
END = mark("∅ the end")


class CompareScreen(Dialog[None]):
    """Asks, waits and shows; escape leaves at any time."""

    DEFAULT_CSS = """
    CompareScreen {
        & > .box { max-width: 140; height: 90%; }
    }
    """
    SCOPE = "compare"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("compare")

    def __init__(self, engine: Engine, question: Compare, before: str) -> None:
        """`before` is the text after which both write on."""
        super().__init__()
        self._engine = engine
        self._question = question
        self._before = before

    def compose(self) -> ComposeResult:
        """The two sides."""
        with Vertical(classes="box") as box:
            box.border_title = _("Clean and edited")
            box.border_subtitle = _("↑↓ scroll · esc back")
            yield Sides(self._before)

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(Sides).focus()
        self.run_worker(self._ask(), exit_on_error=True)

    def action_scroll(self, lines: int) -> None:
        """Scroll."""
        self.query_one(Sides).scroll_lines(lines)

    def action_page(self, pages: int) -> None:
        """Scroll by a page."""
        self.query_one(Sides).scroll_pages(pages)

    async def _ask(self) -> None:
        sides = self.query_one(Sides)
        try:
            sides.show(await self._engine.inspect(self._question))
        except (EngineError, EngineDiedError) as error:
            sides.say(error.sentence)


class Sides(TwoSides):
    """Left the model as it is, right the edited one; below, how far apart they are before each token."""

    def __init__(self, before: str) -> None:
        super().__init__()
        self._before = inert.line(before)
        self._compared: Compared | None = None
        self._words = _("Both write on from here, with the same random choices …")

    def show(self, compared: Compared) -> None:
        """Show the answer."""
        self._compared = compared
        self.draw_again()

    def say(self, sentence: str) -> None:
        """Say why there is none."""
        self._words = sentence
        self.draw_again()

    def draw(self) -> list[Row]:
        """Both distributions, both texts, and token by token how far apart they are."""
        compared = self._compared
        if compared is None:
            return self.sentences(self._words)
        bold = self.rich_style + Style(bold=True)
        rows: list[Row] = [self._where()]
        rows += self.sentences(_("edited: {what}").format(what="; ".join(compared.described) or _("nothing")))
        rows += [[], self.beside([Segment(_("clean"), bold)], [Segment(_("edited"), bold)])]
        rows += self.both(self.table(compared.clean, TABLE), self.table(compared.edited, TABLE))
        rows += [
            [
                Segment(
                    _("KL here {nats} nats (clean against edited)").format(nats=f"{compared.kl:.4f}"),
                    self.muted,
                )
            ],
            [],
        ]
        if compared.clean_reply or compared.edited_reply:
            rows += self._texts(compared)
            rows += [[], *self._along(compared)]
        return rows

    def _where(self) -> Row:
        """After which words both write on."""
        if not self._before:
            return [Segment(_("from the beginning of the reply"), self.muted)]
        after = _("after “{text}”")
        room = self.size.width - cell_len(after.format(text=""))
        return [Segment(after.format(text=bars.fit_end(self._before, max(8, room))), self.muted)]

    def _texts(self, compared: Compared) -> list[Row]:
        sides = []
        for reply in (compared.clean_reply, compared.edited_reply):
            text = inert.block("".join(token.text for token in reply)).replace("\t", "    ")
            sides.append([line.text for line in wrap([Span(text)], max(8, self.half))])
        height = max(map(len, sides))
        rows = []
        for number in range(height):
            left, right = (side[number] if number < len(side) else "" for side in sides)
            rows.append(self.beside([Segment(left, self.rich_style)], [Segment(right, self.rich_style)]))
        return rows

    def _along(self, compared: Compared) -> list[Row]:
        """A line for each token: clean with the KL before it, and what the edited model wrote."""
        most = max(compared.kl_along, default=0.0) or 1.0
        width = max(6, (self.size.width - KL_CELLS - 3 * GAP) // 2)
        heading = "  ".join(
            (bars.fit(_("clean wrote"), width), bars.fit(_("KL before, nats"), KL_CELLS), _("edited wrote"))
        )
        rows: list[Row] = [[Segment(heading, self.muted)]]
        clean, edited = compared.clean_reply, compared.edited_reply
        parted = False
        for number in range(max(len(clean), len(edited))):
            parted = parted or _id(clean, number) != _id(edited, number)
            row: Row = [*self._token(clean, number, width, parted=False), Segment("  ", self.rich_style)]
            if number < len(compared.kl_along):
                kl = compared.kl_along[number]
                row.append(Segment(bars.bar(kl / most, KL_BAR), self.rich_style))
                row.append(Segment(f"{kl:7.3f}" if math.isfinite(kl) else f"{'∞':>7}", self.rich_style))
            else:
                row.append(Segment(" " * KL_CELLS, self.rich_style))
            row += [Segment("  ", self.rich_style), *self._token(edited, number, width, parted=parted)]
            rows.append(row)
        return rows

    def _token(self, reply: Sequence[ComparedToken], number: int, width: int, *, parted: bool) -> Row:
        if number >= len(reply):
            return [Segment(" " * width, self.rich_style)]
        token = reply[number]
        said = f" {bars.percent(math.exp(token.logprob))}"
        text = inert.token(token.text) if token.text else _(END)
        word = bars.fit(text, width - cell_len(said))
        style = self.rich_style + Style(bold=parted)
        return [Segment(word, style), Segment(said, self.colour(token.logprob))]


def _id(reply: Sequence[ComparedToken], number: int) -> int | None:
    return reply[number].id if number < len(reply) else None

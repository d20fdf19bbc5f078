"""The texts that are attached to a message, as the conversation shows them: a line each, which opens."""

from __future__ import annotations

from rich.cells import cell_len

from chatterm import inert, quoting
from chatterm.chat.turns import Turn
from chatterm.language import several
from chatterm.tui.text import bars
from chatterm.tui.text.lines import EMPHASIS, MUTED, Line, Span
from chatterm.tui.text.markdown import Markdown

NAME_WIDTH = 40
"""Cells of a name; a longer one is cut."""


def lay_out(turn: Turn, width: int) -> tuple[list[Line], dict[int, int]]:
    """The lines of a message with attachments, and which of them open or close which attachment."""
    found = quoting.located(turn.text)
    lines: list[Line] = []
    folds: dict[int, int] = {}
    for number, place in enumerate(found):
        folds[len(lines)] = number
        lines.append(Line([Span(_label(turn, number, place.quote, width), style=MUTED | EMPHASIS)]))
        if number in turn.unfolded:
            lines += Markdown(turn.text[place.fence : place.end], width, place.fence).lines()
            lines.append(Line())
    said = found[-1].end if found else 0
    words = Markdown(turn.text[said:], width, said).lines()
    if words and lines and lines[-1].spans:
        lines.append(Line())
    return lines + words, folds


def at(turn: Turn, offset: int) -> int | None:
    """Which attachment the character at `offset` is in."""
    places = enumerate(quoting.located(turn.text))
    return next((number for number, place in places if place.start <= offset < place.end), None)


def flip(turn: Turn, number: int | None = None) -> None:
    """Open an attachment or fold it again; None: all of them."""
    if number is not None:
        turn.unfolded ^= {number}
    else:
        turn.unfolded = set() if turn.unfolded else set(range(len(quoting.located(turn.text))))


def _label(turn: Turn, number: int, quote: quoting.Quote, width: int) -> str:
    sign = "▾" if number in turn.unfolded else "▸"
    if number < len(turn.quote_tokens):
        count = turn.quote_tokens[number]
        size = several("{count} token", "{count} tokens", count).format(count=bars.count(count))
    else:
        count = len(quote.text.splitlines())
        size = several("{count} line", "{count} lines", count).format(count=bars.count(count))
    name = inert.line(quote.name)
    room = max(8, min(NAME_WIDTH, width - cell_len(size) - 5))
    return f"{sign} {bars.fit(name, min(cell_len(name), room))} · {size}"

"""From spans to segments in the colours of the theme."""

from __future__ import annotations

from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from chatterm import inert
from chatterm.chat.turns import Turn
from chatterm.tui.text import lines
from chatterm.tui.text.lines import Line, Span
from chatterm.tui.text.token_measures import Measure, step_of
from chatterm.tui.themes import surprise_step

_WEIGHTS = (
    (lines.STRONG, Style(bold=True)),
    (lines.EMPHASIS, Style(italic=True)),
    (lines.STRIKE, Style(strike=True)),
    (lines.LINK, Style(underline=True)),
    (lines.TITLE, Style(underline=True)),
    (lines.KEYWORD, Style(bold=True)),
    (lines.COMMENT, Style(italic=True)),
    (lines.MARK, Style(reverse=True, bold=True)),
)
_COLOURS = (
    (lines.FAINT, "faint"),
    (lines.MUTED, "muted"),
    (lines.STRING, "code-string"),
    (lines.NUMBER, "code-number"),
    (lines.COMMENT, "muted"),
    (lines.NAME, "code-name"),
)
MARK_FROM_STEP = 3
"""From this step of the surprise scale on a token is underlined too, for those who see no colour."""


class Paint:
    """The styles of a widget that draws lines, made from the theme when first needed."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[int, Style] = {}
        self._named: dict[str, Style] = {}

    def forget(self) -> None:
        """The theme changed."""
        self._styles.clear()
        self._named.clear()

    def variable(self, name: str) -> str:
        """A colour of the theme."""
        variables = self._widget.app.theme_variables
        colour = Color.parse(variables.get(name, variables["foreground"]))
        if not colour.a:  # a ground of the terminal's own: what it has there anyway
            return "default"
        if colour.ansi is not None:  # of the terminal's own palette
            return "default" if colour.ansi < 0 else f"color({colour.ansi})"
        return colour.hex6

    def _get(self, name: str) -> Style:
        style = self._named.get(name)
        if style is None:
            style = self._named[name] = self._make(name)
        return style

    def _make(self, name: str) -> Style:
        foreground, background = self.variable("foreground"), self.variable("background")
        match name:
            case "base":
                return Style(color=foreground, bgcolor=background)
            case "user":
                return Style(color=foreground, bgcolor=self.variable("surface"))
            case "user-bar":
                return Style(color=self.variable("muted"), bgcolor=self.variable("surface"))
            case "caret":
                return Style(color=foreground, bgcolor=background)
            case "selection":
                return Style(bgcolor=self.variable("screen-selection-background"))
            case _:
                return Style(color=self.variable(name))

    @property
    def base(self) -> Style:
        """Ordinary text."""
        return self._get("base")

    @property
    def user(self) -> Style:
        """What the user said."""
        return self._get("user")

    @property
    def user_bar(self) -> Style:
        """The bar beside what the user said."""
        return self._get("user-bar")

    @property
    def caret(self) -> Style:
        """Where the reply is being written."""
        return self._get("caret")

    def style(self, bits: int) -> Style:
        """The style of a span."""
        style = self._styles.get(bits)
        if style is None:
            style = Style()
            for bit, weight in _WEIGHTS:
                if bits & bit:
                    style += weight
            for bit, colour in _COLOURS:
                if bits & bit:
                    style += self._get(colour)
            if bits & (lines.CODE | lines.FENCE):
                style += Style(bgcolor=self.variable("panel"))
            self._styles[bits] = style
        return style

    def surprise(self, nats: float) -> Style:
        """The colour of a token that had the log-probability `-nats`."""
        return self._get(f"surprise-{surprise_step(nats)}")

    def step(self, step: int) -> Style:
        """The look of a token on a step of the scale: a colour, and a mark for those who see none."""
        style = self._get(f"surprise-{step}")
        if step >= MARK_FROM_STEP:
            style += Style(underline=True, bold=step > MARK_FROM_STEP)
        return style

    def line(
        self, line: Line, turn: Turn, background: Style, selected: int | None, measure: Measure | None
    ) -> list[Segment]:
        """The segments of a line, its tokens coloured by a measure; the selected one stands out."""
        segments: list[Segment] = []
        marked = False
        for span in line.spans:
            if (selected is None and measure is None) or span.offset < 0:
                segments.append(Segment(span.text, background + self.style(span.style)))
                continue
            for piece, token in _by_token(span, turn):
                style = background + self.style(piece.style)
                step = step_of(measure, turn.seen[token]) if token is not None and measure else None
                if step is not None:
                    style += self.step(step)
                if token is not None and token == selected:
                    style += Style(reverse=True, bold=True, underline=False)
                    marked = True
                segments.append(Segment(piece.text, style))
        if selected is not None and selected >= 0 and not marked:
            segments += self._hidden(line, turn, selected, background)
        return segments

    def _hidden(self, line: Line, turn: Turn, selected: int, background: Style) -> list[Segment]:
        """A sign behind the line for a selected token that has no cell of its own: a line end, markup."""
        start, end = turn.span(selected)
        bounds = line.bounds()
        if bounds is None or not (bounds[0] <= start <= bounds[1] + 1):
            return []
        if any(span.offset < end and span.end > start for span in line.spans if span.offset >= 0):
            return []
        if start > bounds[1] and turn.text[start:end].startswith(" ") and turn.text[start:end].strip():
            return []  # the line was broken at its space; its word begins the next one
        text = inert.token(turn.piece(selected))
        return [Segment(text, background + Style(reverse=True, bold=True))]

    def selected(self, strip: Strip, start: int, end: int) -> Strip:
        """A strip with the characters from `start` to `end` (-1: to its end) under a mouse selection."""
        style = self._get("selection")
        segments = []
        position = 0
        for text, own, _ in strip:
            after = position + len(text)
            begin = min(max(start - position, 0), len(text))
            stop = len(text) if end < 0 else min(max(end - position, 0), len(text))
            for piece, chosen in (
                (text[:begin], False),
                (text[begin:stop], True),
                (text[max(begin, stop) :], False),
            ):
                if piece:
                    segments.append(Segment(piece, (own or Style()) + style if chosen else own))
            position = after
        return Strip(segments, strip.cell_length)


def _by_token(span: Span, turn: Turn) -> Iterator[tuple[Span, int | None]]:
    """A span cut at the bounds of tokens."""
    offset, text = span.offset, span.text
    while text:
        token = turn.token_at(offset)
        if token is None:
            following = next((start for start in turn.starts if start > offset), offset + len(text))
            length = following - offset
        else:
            length = turn.span(token)[1] - offset
        piece, text = text[: max(1, length)], text[max(1, length) :]
        yield Span(piece, offset, span.style), token
        offset += len(piece)

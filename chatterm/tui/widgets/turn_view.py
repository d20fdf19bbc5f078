"""One turn of the conversation laid out into lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from rich.cells import cell_len

from chatterm import inert
from chatterm.chat.prompt_tokens import CONTROL, FRAGMENT
from chatterm.chat.turns import Turn
from chatterm.language import _, mark
from chatterm.tui.text import quoted_files
from chatterm.tui.text.lines import CODE, EMPHASIS, FAINT, MARK, MUTED, NUMBER, STRONG, Line, Span
from chatterm.tui.text.markdown import Markdown, plain
from chatterm.tui.text.token_measures import Sparkline, sparkline
from chatterm.tui.text.wrap import wrap

INDENT = 2
"""Cells between the names and what was said."""

SHORT_LABEL, LABEL, LONG_LABEL = 10, 20, 30
"""Cells beside the entropy curve for what it is, and what a cell is where several tokens share one."""

ENDINGS = {
    "stopped": mark("stopped by you"),
    "length": mark("stopped at its longest"),
    "context": mark("stopped: the context window is full"),
    "broken": mark("broken off: the engine failed; what was written is kept"),
    "interrupted": mark("broken off: chatterm was ended in the middle; what was saved is kept"),
}


class TurnView:
    """The lines of one turn for a width; a growing reply re-lays only its last block.

    Lines of what was said are to be shown `INDENT` cells to the right; `head` lines come before them.
    """

    def __init__(self, turn: Turn, width: int, *, unfolded: bool = False) -> None:
        self.turn = turn
        self.width = width
        self.unfolded = unfolded
        self.head: list[Line] = []
        self.body: list[Line] = []
        self.foot: list[Line] = []
        self.spark: Sparkline | None = None  # in the first line of the foot
        self._short = False  # too narrow to say all about it
        self._markdown: Markdown | None = None
        self._settled_lines = 0  # of the body: those of blocks that will not change
        self._same = 0  # of the body: those that stayed as they were when it was last laid out
        self._length = -1
        self._folds: dict[int, int] = {}  # lines of the body that open or fold an attachment, and which
        self._folded_as: tuple[object, ...] = ()
        self.update()

    @property
    def height(self) -> int:
        """Lines, with the empty one behind."""
        return len(self.head) + len(self.body) + len(self.foot) + 1

    def line(self, index: int) -> tuple[Line, bool]:
        """A line, and whether it belongs to what was said (and is indented)."""
        if index < len(self.head):
            return self.head[index], False
        index -= len(self.head)
        if index < len(self.body):
            return self.body[index], True
        index -= len(self.body)
        return (self.foot[index], True) if index < len(self.foot) else (Line(), False)

    def fold_at(self, index: int) -> int | None:
        """The attachment that a line opens or folds."""
        return self._folds.get(index - len(self.head))

    def update(self) -> int:
        """Bring the lines up to date; the first line that changed."""
        turn = self.turn
        self._same = self._settled_lines
        head = len(self.head)
        if turn.role == "notice":
            bar = [Span("▏ ", style=FAINT)]
            self.body = wrap([Span(inert.line(turn.text), style=MUTED)], self.width - INDENT, bar)
            return 0
        if turn.role == "context":
            self._lay_out_tokens()
            return len(self.head)
        name = _("you") if turn.role == "user" else inert.line(turn.model) or _("model")
        self.head = [Line([Span(name, style=STRONG if turn.role == "user" else MUTED | STRONG)])]
        recounted = turn.thought is not None and not turn.live  # the records of its tokens have come
        folded_as = (frozenset(turn.unfolded), turn.quote_tokens)
        if len(turn.text) != self._length or recounted or folded_as != self._folded_as:
            self._folded_as = folded_as
            self._lay_out()
        self.foot = self._foot()
        return head + self._same

    def _lay_out(self) -> None:
        turn = self.turn
        thought = turn.thought
        if turn.role == "user":
            self.body, self._folds = quoted_files.lay_out(turn, self.width - INDENT)
        elif thought is not None:
            self._lay_out_thinking(*thought)
        elif self._markdown is not None:
            kept = self._markdown.append(turn.text[self._length :])
            self._join(kept)
        else:
            self._markdown = Markdown(turn.text, self.width - INDENT)
            self._join(0)
        self._length = len(turn.text)

    def _join(self, kept: int) -> None:
        """Take over the lines of the Markdown, of which the first `kept` blocks are the same as before."""
        assert self._markdown is not None
        begin = self._markdown.height(kept)
        before, self.body[begin:] = self.body[begin:], self._markdown.lines(kept)
        pairs = zip(before[:-1], self.body[begin:], strict=False)  # behind the last one was the caret
        self._same = begin + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._settled_lines = self._markdown.height(len(self._markdown.blocks) - 1)

    def _lay_out_thinking(self, start: int, end: int) -> None:
        turn = self.turn
        done = end < len(turn.text) or not turn.live
        sign = "▾" if self.unfolded else "▸"
        tokens = sum(begin < end for begin in turn.starts)
        words = f"{sign} {'thought' if done else 'thinking'}" + (f" for {tokens} tokens" if tokens else "")
        self.body = [Line([Span(f"{words} · ctrl+g", style=MUTED | EMPHASIS)])]
        if self.unfolded:
            self.body += plain(turn.text[start:end], self.width - INDENT, MUTED)
        begin = len(turn.text) - len(turn.text[end:].lstrip())
        if self._markdown is not None and self._markdown.base == begin:
            self._markdown.append(turn.text[self._length :])
        else:
            self._markdown = Markdown(turn.text[begin:], self.width - INDENT, begin)
        lines = self._markdown.lines()
        self.body += [Line(), *lines] if lines else []
        self._settled_lines = 0

    def _lay_out_tokens(self) -> None:
        """Every token for what it is; every other one stands on another background, so that one sees them."""
        turn, room = self.turn, self.width - INDENT
        words = f"what {inert.line(turn.model)} reads · {len(turn.given)} tokens"
        back = " · ctrl+l back to the chat"
        words += back if cell_len(words + back) <= self.width else ""
        self.head = [Line([Span(words, style=MUTED | STRONG)])]
        if len(turn.text) == self._length:
            return
        self._length = len(turn.text)
        self.body = [Line()]
        used = 0
        for index, token in enumerate(turn.given):
            start, end = turn.span(index)
            style = _kind(token.text) | (CODE if index % 2 else 0)
            text = turn.text[start:end]
            if used and used + cell_len(text) > room:
                self.body.append(Line())
                used = 0
            for piece, offset in _pieces(text, start, room):
                if used and used + cell_len(piece) > room:
                    self.body.append(Line())
                    used = 0
                self.body[-1].spans.append(Span(piece, offset, style))
                used += cell_len(piece)
            if token.text.endswith("\n"):
                self.body.append(Line())
                used = 0

    def spark_line(self, selected: int | None) -> Line:
        """The entropy curve, with the cell of the selected token marked."""
        spark = self.spark
        assert spark is not None
        nats = f"{spark.ceiling:g}"
        if self._short:
            words = " " + _("█ {nats} nats").format(nats=nats)
        else:
            words = "  " + _("entropy, █ {nats} nats").format(nats=nats)
            if spark.per_cell > 1:
                words += _(", {count} a cell").format(count=spark.per_cell)
        label = Span(words, style=FAINT)
        if selected is None or selected < 0:
            return Line([Span(spark.text, style=MUTED), label])
        cell = spark.cell_of(selected)
        parts = (spark.text[:cell], spark.text[cell : cell + 1], spark.text[cell + 1 :])
        spans = [Span(part, style=style) for part, style in zip(parts, (MUTED, MARK, MUTED), strict=True)]
        return Line([*spans, label])

    def _foot(self) -> list[Line]:
        turn = self.turn
        self.spark = None
        curve = []
        if turn.role == "assistant" and len(turn.tokens) > 1:
            room, entropies = self.width - INDENT, [token.entropy for token in turn.tokens]
            label = LABEL if len(entropies) <= room - LABEL else LONG_LABEL
            self._short = room < 2 * LONG_LABEL
            self.spark = sparkline(entropies, room - (SHORT_LABEL if self._short else label))
            curve = [self.spark_line(None)]
        parts = [_(ENDINGS[turn.finish])] if turn.finish in ENDINGS else []
        if turn.raw:
            parts.append(_("answers raw text that you edited"))
        if turn.left_out:
            parts.append(_("not sent to the model"))
        elif turn.quotes_left_out:
            parts.append(_("attachments not sent to the model"))
        if turn.siblings > 1 and not turn.live:
            parts.insert(0, f"‹ {turn.sibling}/{turn.siblings} ›")
        return [*curve, Line([Span(" · ".join(parts), style=MUTED)])] if parts else curve


def _kind(text: str) -> int:
    """The style of a token in the list of all tokens: control tokens and parts of characters stand out."""
    if CONTROL.fullmatch(text):
        return MUTED | STRONG
    return NUMBER | EMPHASIS if FRAGMENT.fullmatch(text) else 0


def _pieces(text: str, offset: int, room: int) -> Iterator[tuple[str, int]]:
    """A token cut into pieces that fit into a line; almost always one."""
    at = 0
    while at < len(text):
        piece = text[at : at + room]
        if cell_len(piece) > room:
            piece = piece[: max(1, room // 2)]
        yield piece, offset + at
        at += len(piece)

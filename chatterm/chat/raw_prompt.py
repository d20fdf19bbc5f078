"""Raw text and its tokens: what is not edited keeps the tokens that it had."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chatterm import inert
from chatterm.chat.text_pieces import Kept, Piece, Typed, difference, joined, part
from chatterm.engine.messages import Rendered
from chatterm.engine.protocol import Engine
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import ControlSpan, PromptToken

MOST_STATES = 1000
"""Of an edited text that are remembered, so that taking an edit back gives the tokens back too."""

_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
"""Whatever an editor of lines shows, and gives back, as a new line."""

_LINE_ENDS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029") | {"\r\n"}


@dataclass(frozen=True)
class Control:
    """A control token that stands in the text as it is shown. `unseen`: the text itself has no name of it."""

    id: int
    start: int
    end: int
    unseen: bool


class _Original:
    """What was given: the text as it is shown, its tokens, and where its control tokens stand.

    Tokens that the text has no characters for, as a beginning token that the vocabulary adds, are shown by
    their names. Ends of lines are shown as an editor gives them back; `source` has each shown character as it
    really is.
    """

    def __init__(self, rendered: Rendered) -> None:
        self.tokens = rendered.tokens
        self.controls: list[Control] = []
        self.places: list[int] = []  # of each control token among the tokens
        self.source: list[str] = []
        self._read = 0
        for place, token in enumerate(rendered.tokens):
            if token.control:
                self._add_control(rendered.text, place, token)
        self._add_text(rendered.text[self._read :])
        self.shown = "".join("\n" if sign in _LINE_ENDS else sign for sign in self.source)

    def _add_control(self, text: str, place: int, token: PromptToken) -> None:
        unseen = token.start == token.end
        begin = token.start if unseen else text.find(token.text, token.start, token.end)
        if begin < self._read:
            return  # it is written otherwise than it is called; its stretch keeps it until it is edited
        self._add_text(text[self._read : begin])
        start = len(self.source)
        self.source += token.text
        self._read = begin + (0 if unseen else len(token.text))
        self.controls.append(Control(token.id, start, len(self.source), unseen))
        self.places.append(place)

    def _add_text(self, text: str) -> None:
        position = 0
        for found in _LINE_END.finditer(text):
            self.source += [*text[position : found.start()], found.group()]
            position = found.end()
        self.source += text[position:]

    def stretch(self, number: int) -> tuple[int, int, Sequence[PromptToken]]:
        """What stands before control token `number` and behind the one before: start, end, tokens."""
        before, behind = number - 1, number < len(self.controls)
        return (
            self.controls[before].end if number else 0,
            self.controls[number].start if behind else len(self.source),
            self.tokens[self.places[before] + 1 if number else 0 : self.places[number] if behind else None],
        )


class RawText:
    """A rendered conversation that can be edited and cut into tokens again.

    Control tokens divide the text into stretches. A stretch that was not edited keeps its tokens; one that
    was is cut anew, whole, as the template's text is. A control token stays one as long as nobody changes its
    name; and where the user writes the name of one that stood in the text as it was given, it is one. All
    other names of control tokens are plain text.
    """

    def __init__(self, rendered: Rendered) -> None:
        self._original = _Original(rendered)
        self.shown = self._original.shown
        """The text as it stands, with the names of unseen tokens."""
        self._pieces: tuple[Piece, ...] = (Kept(0, len(self.shown)),) if self.shown else ()
        self._states: OrderedDict[int, tuple[Piece, ...]] = OrderedDict({hash(self.shown): self._pieces})
        names = sorted(
            {self.shown[c.start : c.end]: c for c in self._original.controls}.items(),
            key=lambda item: -len(item[0]),
        )
        self._ids = {name: control.id for name, control in names}
        self._unseen = frozenset(name for name, control in names if control.unseen)
        self._names = re.compile("|".join(re.escape(name) for name, _control in names)) if names else None

    @property
    def count(self) -> int:
        """Tokens of the text as it was given."""
        return len(self._original.tokens)

    def edit(self, shown: str, cursor: int | None = None) -> None:
        """The text is this now; `cursor` is the offset at which the edit ended, where that is known."""
        if shown == self.shown:
            return
        known = self._states.get(hash(shown))
        if known is not None and self._show(known) == shown:
            self._pieces = known
        else:
            start, removed, put = difference(self.shown, shown, cursor)
            self._pieces = tuple(
                joined(
                    [
                        *part(self._pieces, 0, start),
                        Typed(put),
                        *part(self._pieces, start + removed, len(self.shown)),
                    ]
                )
            )
            self._states[hash(shown)] = self._pieces
            if len(self._states) > MOST_STATES:
                self._states.popitem(last=False)
        self.shown = shown

    async def cut(self, engine: Engine) -> list[tuple[int, str]]:
        """The tokens of the text as it stands: ids, and the texts as they are shown.

        Raises:
            UserError: there is no text, or the engine cannot say.
        """
        if not self.shown:
            raise UserError(_("There is no text that the model could go on from."))
        if self.shown == self._original.shown:
            return [_shown(token) for token in self._original.tokens]
        controls = self._controls()
        text, spans = self._source(controls)
        beginning = bool(controls) and controls[0].start == 0 and controls[0].unseen
        if beginning:  # as the vocabulary puts it before a text
            length = spans[0].end
            text = text[length:]
            spans = [ControlSpan(id_, start - length, end - length) for id_, start, end in spans]
        found = (await engine.tokenize(text, control=tuple(spans[beginning:]))).tokens
        groups = _between(found, [span.id for span in spans[beginning:]])
        if beginning:
            groups.insert(0, [])
        result: list[tuple[int, str]] = []
        for number, group in enumerate(groups):
            kept = self._untouched(controls, number)
            result += map(_shown, group if kept is None else kept)
            if number < len(controls):
                control = controls[number]
                result.append((control.id, inert.token(self.shown[control.start : control.end])))
        return result

    # --- what is what in the edited text ------------------------------------------------------------------

    def _controls(self) -> list[Control]:
        """The control tokens of the edited text, in order."""
        kept = [
            Control(
                control.id,
                place + control.start - piece.start,
                place + control.end - piece.start,
                control.unseen,
            )
            for place, piece in self._placed()
            if isinstance(piece, Kept)
            for control in self._original.controls
            if piece.start <= control.start and control.end <= piece.end
        ]
        found: list[Control] = []
        position = 0
        for control in [*kept, Control(0, len(self.shown), len(self.shown), unseen=False)]:
            found += self._written(position, control.start)
            found.append(control)
            position = control.end
        return found[:-1]

    def _written(self, start: int, end: int) -> Iterator[Control]:
        """Names that the user wrote, or completed, within a part of the text; names left as text are none."""
        if self._names is None:
            return
        untouched = [
            (place, place + piece.length) for place, piece in self._placed() if isinstance(piece, Kept)
        ]
        for match in self._names.finditer(self.shown, start, end):
            if not any(first <= match.start() and match.end() <= last for first, last in untouched):
                name = match.group()
                yield Control(self._ids[name], match.start(), match.end(), name in self._unseen)

    def _source(self, controls: Sequence[Control]) -> tuple[str, list[ControlSpan]]:
        """The text as it really is, and where in it the control tokens stand."""
        parts: list[str] = []
        spans, position, length = [], 0, 0
        for control in controls:
            between = self._real(position, control.start)
            name = self.shown[control.start : control.end]
            parts += (between, name)
            length += len(between)
            spans.append(ControlSpan(control.id, length, length + len(name)))
            length += len(name)
            position = control.end
        return "".join([*parts, self._real(position, len(self.shown))]), spans

    def _real(self, start: int, end: int) -> str:
        """A part of the shown text as it really is."""
        pieces = part(self._pieces, start, end)
        return "".join(
            piece.text
            if isinstance(piece, Typed)
            else "".join(self._original.source[piece.start : piece.end])
            for piece in pieces
        )

    def _untouched(self, controls: Sequence[Control], number: int) -> Sequence[PromptToken] | None:
        """The tokens of a stretch that stands as it stood, between the same control tokens; else None."""
        start = controls[number - 1].end if number else 0
        end = controls[number].start if number < len(controls) else len(self.shown)
        first = controls[number - 1].start if number else start
        last = controls[number].end if number < len(controls) else end
        around = joined(part(self._pieces, first, last))
        if len(around) != 1 or not isinstance(around[0], Kept):
            return None
        begin = around[0].start + start - first
        places = [control.end for control in self._original.controls]
        original = bisect_left(places, begin) + 1 if number else 0
        was = self._original.stretch(original) if original <= len(places) else None
        return was[2] if was is not None and was[:2] == (begin, begin + end - start) else None

    def _placed(self) -> Iterator[tuple[int, Piece]]:
        """Each piece with its offset in the shown text."""
        place = 0
        for piece in self._pieces:
            yield place, piece
            place += piece.length

    def _show(self, pieces: Sequence[Piece]) -> str:
        original = self._original.shown
        return "".join(p.text if isinstance(p, Typed) else original[p.start : p.end] for p in pieces)


def _shown(token: PromptToken) -> tuple[int, str]:
    return token.id, inert.token(token.text)


def _between(tokens: Sequence[PromptToken], controls: Sequence[int]) -> list[list[PromptToken]]:
    """The tokens before, between and behind the control tokens, which stand among them in that order."""
    groups: list[list[PromptToken]] = [[]]
    for token in tokens:
        if token.control and len(groups) <= len(controls) and token.id == controls[len(groups) - 1]:
            groups.append([])
        else:
            groups[-1].append(token)
    return groups

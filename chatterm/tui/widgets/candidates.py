"""Which candidates of a position are in sight, and which of them the cursor is on."""

from __future__ import annotations

from dataclasses import dataclass

from chatterm.chat.token_view import Look
from chatterm.engine.messages import TokenEvent
from chatterm.records.generation import Candidate

STEP_NAMES = {
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical": "typical",
    "top_n_sigma": "top-nσ",
    "xtc": "XTC",
    "mirostat": "mirostat",
    "temperature": "T = 0",
}
"""The sampler's steps as people call them."""


@dataclass(frozen=True)
class Row:
    """A candidate as it is drawn. `place` is what the cursor counts: 0 is rank 1, below 0 what was found."""

    candidate: Candidate
    place: int | None
    drawn: bool
    found: bool
    numbered: bool  # its rank is not clear from where it stands

    @property
    def text(self) -> str:
        """Of the token alone."""
        return self.candidate.text

    @property
    def p(self) -> float:
        """The model's own probability."""
        return self.candidate.p

    @property
    def logprob(self) -> float:
        """Its logarithm."""
        return self.candidate.logprob

    @property
    def rank(self) -> int:
        """1 = the model's most probable."""
        return self.candidate.rank

    @property
    def sampled(self) -> float:
        """The probability with which the sampler would draw it."""
        return self.candidate.sampled

    @property
    def removed_by(self) -> str | None:
        """The step that removed it."""
        return self.candidate.removed_by


class Candidates:
    """The list behind the panel: what was found, then the most probable tokens, then the one that came.

    Attributes:
        usual: rows without the focus.
        cursor: place of the chosen candidate.
        offset: place of the first of the most probable ones that is in sight.
    """

    def __init__(self, usual: int) -> None:
        self.usual = usual
        self.cursor = 0
        self.offset = 0
        self.found: tuple[int, ...] = ()
        self.drawn: Candidate | None = None
        self._top: list[Candidate] = []
        self._found: list[Candidate] = []
        self._places: list[int | None] = []  # of the rows in sight

    @property
    def known(self) -> int:
        """How many of the most probable tokens are known."""
        return len(self._top)

    @property
    def chosen(self) -> Candidate | None:
        """The candidate under the cursor."""
        if self.cursor < 0:
            return self._found[self.cursor] if -self.cursor <= len(self._found) else None
        return self._top[self.cursor] if self.cursor < len(self._top) else None

    def rewind(self) -> None:
        """To the most probable one."""
        self.cursor = self.offset = 0

    def show(self, look: Look | None, found: tuple[int, ...]) -> None:
        """Another look. With something newly found, the cursor goes there."""
        rows = look.distribution.candidates if look is not None and look.distribution is not None else ()
        self._top = [row for number, row in enumerate(rows) if row.rank <= number + 1]
        self.drawn = next((row for row in rows if look is not None and row.id == look.token.id), None)
        if self.drawn is None and look is not None and isinstance(look.token, TokenEvent):
            token = look.token
            self.drawn = Candidate(token.id, token.text, token.logprob, token.rank, token.sampled, None)
        self._found = [row for id_ in found for row in rows if row.id == id_]
        if found != self.found and len(self._found) == len(found):
            self.found = found
            self.cursor = -len(self._found)
        elif not found:
            self.found = ()
        self.cursor = max(-len(self._found), self.cursor)

    def move(self, step: int, vocabulary: int) -> None:
        """Move the cursor; as far as is known, more is asked for then."""
        last = max(0, min(self.known, vocabulary or self.known) - 1)
        self.cursor = max(-len(self._found), min(last, self.cursor + step))

    def at(self, row: int) -> int | None:
        """The place of a row in sight."""
        places = self._places
        return places[row] if row < len(places) else None

    def visible(self, room: int) -> list[Row]:
        """The rows in sight; the token that came is the last one if it is not among them."""
        found = self._found[: max(0, room - 2)]
        rows = [self._row(c, number - len(found), found=True) for number, c in enumerate(found)]
        left = room - len(rows)
        self._scroll_to_cursor(left - (self.drawn is not None))
        window = range(self.offset, min(self.offset + left, len(self._top)))
        ids = [*(c.id for c in found), *(self._top[n].id for n in window)]
        outside = self.drawn is not None and self.drawn.id not in ids
        if outside:
            window = window[: left - 1]
        rows += [self._row(self._top[number], number) for number in window]
        if outside and self.drawn is not None:
            rows.append(self._row(self.drawn, None))
        self._places = [row.place for row in rows]
        return rows

    def _scroll_to_cursor(self, room: int) -> None:
        if self.cursor >= 0:
            self.offset = max(self.cursor - max(1, room) + 1, min(self.offset, self.cursor))
        self.offset = max(0, self.offset)

    def _row(self, candidate: Candidate, place: int | None, *, found: bool = False) -> Row:
        drawn = self.drawn is not None and candidate.id == self.drawn.id
        return Row(candidate, place, drawn, found, numbered=candidate.rank > self.usual or found)

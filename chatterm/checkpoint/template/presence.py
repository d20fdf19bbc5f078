"""Whether what was said stands in what a template made of it: nobody's words may vanish in silence."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence

from chatterm.checkpoint.template.messages import Turn
from chatterm.checkpoint.thinking import KNOWN, ThinkingMarkers

_FLAG = re.compile(r"(?:(?<=\s)|\A)/\w+")
"""`/no_think` and its like steer a template, which takes them out."""

_WORD = re.compile(r"\w+")


def number(index: int) -> str:
    """A word that stands for a turn and that no template writes of its own."""
    return str(7_314_962_058 + 91_370_521 * index)


def lost_turns(
    turns: Sequence[Turn],
    text: str,
    again: Callable[[Sequence[Turn]], str],
    *,
    thinking: ThinkingMarkers | None,
    trusted: bool,
) -> list[int]:
    """The turns whose words do not stand in `text`, which was rendered from them.

    Templates may trim, escape, change case and white space, and leave out thoughts and flags. What is not
    found as it was said is put to the test: the same conversation is rendered `again` with a number in its
    place. Of a template that is not `trusted` to show all turns every one is tested, since short words are
    also found in what it writes of its own.
    """
    said = [index for index, turn in enumerate(turns) if _answer(turn, thinking).strip()]
    doubtful = list(_not_in_order(turns, text, thinking)) if trusted else said
    if not doubtful:
        return []
    tried = [
        turn._replace(content=number(index)) if index in doubtful else turn
        for index, turn in enumerate(turns)
    ]
    shown = again(tried)
    return [
        index
        for index in doubtful
        if number(index) not in shown or not _words_stand(_answer(turns[index], thinking), text)
    ]


def _not_in_order(turns: Sequence[Turn], text: str, thinking: ThinkingMarkers | None) -> Iterable[int]:
    """The turns that are not found one after the other; a system prompt may stand anywhere."""
    position = 0
    for index, turn in enumerate(turns):
        words = _answer(turn, thinking).strip()
        found = text.find(words, 0 if turn.role == "system" else position)
        if found < 0:
            if words in text or not any(written in text for written in _escaped(words)):
                yield index
        elif turn.role != "system":
            position = found + len(words)


def _escaped(words: str) -> Iterable[str]:
    """How a template may write words so that they stay what they are."""
    yield html.escape(words)
    yield html.escape(words).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # as Jinja does
    for ascii_only in (False, True):
        yield json.dumps(words, ensure_ascii=ascii_only)[1:-1]


def _answer(turn: Turn, thinking: ThinkingMarkers | None) -> str:
    """What is said aloud: templates leave out what was thought."""
    if turn.role != "assistant":
        return turn.content
    for markers in (thinking, *KNOWN):
        if markers is not None:
            _, closed, answer = turn.content.rpartition(markers.closes)
            if closed:
                return answer
    return turn.content


def _words_stand(said: str, text: str) -> bool:
    """Whether every word is there, whatever became of case, signs and the space between."""
    there = html.unescape(text).casefold()
    return all(word in there for word in _WORD.findall(_FLAG.sub("", said).casefold()))

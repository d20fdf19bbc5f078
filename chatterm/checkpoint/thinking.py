"""Thinking blocks: how models mark what they think before they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class ThinkingMarkers(NamedTuple):
    """The texts between which a model thinks."""

    opens: str
    closes: str

    def open_in(self, text: str) -> bool:
        """Whether `text` ends inside a thinking block."""
        return text.rfind(self.opens) > text.rfind(self.closes)

    def split(self, reply: str) -> tuple[str | None, str]:
        """What the model thought, or None, and its answer. The opening marker may be missing."""
        thought, closed, answer = reply.partition(self.closes)
        if not closed:
            return None, reply
        return thought.strip().removeprefix(self.opens).strip(), answer.lstrip("\n")


KNOWN = (
    ThinkingMarkers("<think>", "</think>"),
    ThinkingMarkers("<thinking>", "</thinking>"),
    ThinkingMarkers("<thought>", "</thought>"),
    ThinkingMarkers("<seed:think>", "</seed:think>"),
    ThinkingMarkers("<mm:think>", "</mm:think>"),
    ThinkingMarkers("[THINK]", "[/THINK]"),
    ThinkingMarkers("◁think▷", "◁/think▷"),
    ThinkingMarkers("<|START_THINKING|>", "<|END_THINKING|>"),
    ThinkingMarkers("<|begin_of_thought|>", "<|end_of_thought|>"),
    ThinkingMarkers("<|inner_prefix|>", "<|inner_suffix|>"),
    ThinkingMarkers("<|channel>thought", "<channel|>"),
    ThinkingMarkers("<|channel|>analysis<|message|>", "<|end|>"),
)

NAMES = frozenset(name for markers in KNOWN for name in markers)
"""All that opens or closes thinking blocks; where it is one token, only the model and templates write it."""


def thinking_markers(template: str, vocabulary_has: Callable[[str], bool]) -> ThinkingMarkers | None:
    """The markers that a template's text or else the vocabulary knows, or None."""
    for markers in KNOWN:
        if markers.opens in template and markers.closes in template:
            return markers
    for markers in KNOWN:
        if vocabulary_has(markers.opens) and vocabulary_has(markers.closes):
            return markers
    return None

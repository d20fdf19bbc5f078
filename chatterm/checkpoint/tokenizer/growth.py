"""What the steps of a tokenizer make of a text, seen before the text is cut: each byte then takes hundreds.

A file's steps are looked at when it is loaded (`outline.py`), but how much longer they make a text depends on
the text: the longest character that a real map knows becomes eleven times as long, and all others stay.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import normalizers

MOST_BYTES = 1 << 20
"""A text that became no longer than this is always cut."""

MOST_GROWTH = 12
"""Times its own length that a longer one may become: of prose real steps make a sixth of it at most."""

_PIECE = 512


class GrowthError(Exception):
    """The steps of a tokenizer make a text longer without end."""


@dataclass(frozen=True)
class Growth:
    """How much longer a text can become, at most.

    Attributes:
        normalized: by the steps that change it.
        cut: by those that cut it into words.
    """

    normalized: float
    cut: float


ORDINARY = Growth(4.0, 2.0)
"""Spaces written as U+2581 with one more in front, and the alphabet of bytes."""


def check_growth(text: str, normalizer: normalizers.Normalizer | None, growth: Growth) -> None:
    """Refuse a text that the normalizer makes far longer, without holding all that it makes.

    Raises:
        GrowthError: it does.
    """
    size = len(text.encode("utf-8", "replace"))
    most = max(MOST_BYTES, MOST_GROWTH * size)
    if normalizer is None or size * growth.normalized * growth.cut <= most:
        return
    length = 0
    for start in range(0, len(text), _PIECE):
        length += len(normalizer.normalize_str(text[start : start + _PIECE]).encode("utf-8", "replace"))
        if length * growth.cut > most:
            raise GrowthError("its steps make the text longer without end")

"""What may stand on the screen when something went wrong: one sentence, for a person."""

from __future__ import annotations

LONGEST = 600


def check_sentence(sentence: str, *never: str) -> None:
    """Assert that this is one line of whole sentences for a person, without any of `never` in it."""
    assert sentence.isprintable(), f"not one plain line: {sentence!r}"
    assert sentence[:1].strip() and sentence.endswith("."), f"not a sentence: {sentence!r}"
    assert len(sentence) <= LONGEST, f"too long to be read: {sentence!r}"
    for word in ("Traceback", "Errno", "0x", "Unexpected", "object at", *never):
        assert word not in sentence, f"{word!r} in {sentence!r}"

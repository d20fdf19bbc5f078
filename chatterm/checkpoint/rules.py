"""What a checkpoint says must not come, or ends a reply: rules of generation_config.json and of GGUF files.

They are about tokens of this one vocabulary, so they belong to the checkpoint and are no values that a
conversation takes along to another. Names and meanings are those of transformers' `GenerationConfig`; what
its logits processors do with them is in `chatterm.decode.samplers.rules`. A checkpoint is untrusted: what
makes no sense is left out, with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

GGUF_SUPPRESSED = "tokenizer.ggml.suppress_tokens"
MOST_SEQUENCES = 20_000
LONGEST_SEQUENCE = 256  # tokens
MOST_STOPS, LONGEST_STOP = 64, 500  # texts, characters

Sequence = tuple[int, ...]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Rules:
    """The rules of one checkpoint; the default has none."""

    suppressed: frozenset[int] = frozenset()  # tokens that never come …
    at_beginning: frozenset[int] = frozenset()  # … and that do not begin a reply
    bad_words: tuple[Sequence, ...] = ()  # sequences whose last token must not come after the others
    biases: tuple[tuple[Sequence, float], ...] = ()  # added to the last token's logit after the others
    no_repeat: int = 0  # no sequence of so many tokens comes twice; 0: any may
    least_reply: int = 0  # tokens that a reply has at least …
    least_text: int = 0  # … and prompt and reply together
    stops: tuple[str, ...] = ()  # texts at which a reply ends

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return any(getattr(self, field.name) for field in fields(self))


LIMITS = ("max_new_tokens", "max_length", "max_time")
"""Of a reply; chatterm lets one go on until it ends, or the context is full."""


def read_rules(defaults: Mapping[str, Any], vocabulary: int) -> tuple[Rules, tuple[str, ...]]:
    """The rules that a file states, and sentences about what could not be used.

    Args:
        defaults: the content of generation_config.json, or GGUF metadata; other keys are ignored.
        vocabulary: V; tokens are 0 to V - 1.
    """
    reader = _Reader(defaults, vocabulary)
    rules = Rules(
        suppressed=reader.tokens("suppress_tokens") | reader.tokens(GGUF_SUPPRESSED),
        at_beginning=reader.tokens("begin_suppress_tokens"),
        bad_words=reader.sequences("bad_words_ids"),
        biases=reader.biases("sequence_bias"),
        no_repeat=reader.count("no_repeat_ngram_size"),
        least_reply=reader.count("min_new_tokens"),
        least_text=reader.count("min_length"),
        stops=reader.texts("stop_strings"),
    )
    return rules, tuple(reader.notices)


def rules_in_words(rules: Rules) -> str:
    """Which rules there are, as a fact about the checkpoint."""
    counts = {
        "tokens suppressed": len(rules.suppressed),
        "suppressed at the beginning of a reply": len(rules.at_beginning),
        "bad words": len(rules.bad_words),
        "biased sequences": len(rules.biases),
        "tokens that may not repeat": rules.no_repeat,
        "tokens of a reply at least": rules.least_reply,
        "tokens of text at least": rules.least_text,
        "stop texts": len(rules.stops),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"


def limits_in_words(defaults: Mapping[str, Any]) -> str | None:
    """Limits of a reply that the file states and that are not applied; None: it states none."""
    stated = [f"{name} {defaults[name]!r:.20}" for name in LIMITS if defaults.get(name) is not None]
    return f"{', '.join(stated)}: not applied" if stated else None


class _Reader:
    """Reads values of one file, and collects sentences about those that cannot be used."""

    def __init__(self, defaults: Mapping[str, Any], vocabulary: int) -> None:
        self._defaults = defaults
        self._vocabulary = vocabulary
        self.notices: list[str] = []

    def tokens(self, key: str) -> frozenset[int]:
        """A list of tokens; a number alone is a list of one."""
        value = self._defaults.get(key)
        listed = [value] if isinstance(value, int) and not isinstance(value, bool) else value
        if listed is None:
            return frozenset()
        if not isinstance(listed, list) or not all(map(_is_number, listed)):
            return self._unusable(key, frozenset[int]())
        found = frozenset(token for token in listed if self._exists(token))
        self._missing(key, len(set(listed)) - len(found))
        return found

    def sequences(self, key: str) -> tuple[Sequence, ...]:
        """A list of lists of tokens."""
        value = self._defaults.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MOST_SEQUENCES or not all(map(_is_sequence, value)):
            return self._unusable(key, ())
        found = tuple(dict.fromkeys(tuple(item) for item in value if all(map(self._exists, item))))
        self._missing(key, len({tuple(item) for item in value}) - len(found))
        return found

    def biases(self, key: str) -> tuple[tuple[Sequence, float], ...]:
        """A list of pairs of a sequence and a number."""
        value = self._defaults.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MOST_SEQUENCES or not all(map(_is_biased, value)):
            return self._unusable(key, ())
        given = {tuple(sequence): float(bias) for sequence, bias in value}
        found = tuple((s, bias) for s, bias in given.items() if all(map(self._exists, s)))
        self._missing(key, len(given) - len(found))
        return found

    def count(self, key: str) -> int:
        """A number of tokens; none and 0 are no rule."""
        value = self._defaults.get(key)
        if value is None:
            return 0
        return value if _is_number(value) and 0 <= value < 2**31 else self._unusable(key, 0)

    def texts(self, key: str) -> tuple[str, ...]:
        """A text, or a list of texts."""
        value = self._defaults.get(key)
        listed = [value] if isinstance(value, str) else value
        if listed is None:
            return ()
        if (
            not isinstance(listed, list)
            or len(listed) > MOST_STOPS
            or not all(isinstance(text, str) and 0 < len(text) <= LONGEST_STOP for text in listed)
        ):
            return self._unusable(key, ())
        return tuple(dict.fromkeys(listed))

    def _exists(self, token: int) -> bool:
        return 0 <= token < self._vocabulary

    def _missing(self, key: str, count: int) -> None:
        if count > 0:
            self.notices.append(
                f"The checkpoint's {key} names tokens that this model does not have; {count} of its entries "
                "were left out."
            )

    def _unusable(self, key: str, instead: _Value) -> _Value:
        text = repr(self._defaults[key])
        shown = text if len(text) <= 40 else text[:39] + "…"
        self.notices.append(f"The checkpoint sets {key} to {shown}, no usable value; it was ignored.")
        return instead


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_sequence(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= LONGEST_SEQUENCE and all(map(_is_number, value))


def _is_biased(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not _is_sequence(value[0]):
        return False
    bias = value[1]
    return isinstance(bias, int | float) and not isinstance(bias, bool) and bias < float("inf")

"""The steps that make repetition less likely: the three penalties, and DRY with its sequence breakers.

Both look at the tokens so far, prompt and reply alike, as llama.cpp does (src/llama-sampler.cpp).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from chatterm.decode.samplers.candidates import Candidates
from chatterm.errors import UserError

History = npt.NDArray[np.intp]
Breakers = Mapping[int, tuple[tuple[int, ...], ...]]
"""First token of a sequence breaker → what may follow it; an empty tuple: the token is a breaker alone."""

LONGEST_BREAKER_BYTES = 40
LONGEST_TAIL = 20
_LOG_LARGEST_SINGLE = 88.7228391


def logit_bias(candidates: Candidates, bias: Mapping[int, float]) -> None:
    """Add to the logits of some tokens; -inf bans a token.

    Raises:
        UserError: a token is not in the vocabulary, or a bias is NaN or +inf.
    """
    for token, value in bias.items():
        if not 0 <= token < candidates.vocabulary:
            raise UserError(
                f"The logit bias names token {token}, but this model's tokens are 0 to "
                f"{candidates.vocabulary - 1}; remove it from the logit bias."
            )
        if math.isnan(value) or value == math.inf:
            raise UserError(f"The logit bias of token {token} must be a number, or -inf to ban the token.")
    ids = np.fromiter(bias.keys(), dtype=np.intp, count=len(bias))
    added = np.fromiter(bias.values(), dtype=np.float64, count=len(bias))
    candidates.change(ids, candidates.logits_of(ids) + added)


def penalties(
    candidates: Candidates, recent: History, repetition: float, frequency: float, presence: float
) -> None:
    """Lower the logits of the tokens in `recent`.

    Once for each distinct token: l > 0 ? l / repetition : l · repetition (Keskar et al., 2019, with the sign
    corrected), then minus count · frequency + presence.
    """
    ids, counts = np.unique(recent[(recent >= 0) & (recent < candidates.vocabulary)], return_counts=True)
    logits = candidates.logits_of(ids)
    logits = np.where(logits > 0, logits / repetition, logits * repetition)
    candidates.change(ids, logits - (counts * frequency + presence))


def dry(
    candidates: Candidates,
    recent: History,
    multiplier: float,
    base: float,
    allowed_length: int,
    breakers: Breakers,
) -> None:
    """Lower the logits of the tokens that would continue a repetition: "don't repeat yourself".

    If the last n ≥ allowed_length tokens occurred before, the token that followed them there loses
    multiplier · base^(n - allowed_length), n being the longest such match for that token, which never reaches
    across a sequence breaker (P. E. Weidmann, text-generation-webui pull request 5677).
    """
    if recent.size <= allowed_length:
        return
    limit = _tokens_since_breaker(recent, breakers)
    if limit < allowed_length:
        return
    # From this exponent on the penalty grows no more, so longer matches need not be told apart.
    highest = int(_LOG_LARGEST_SINGLE / math.log(base)) if base > 1.000001 else 0
    if highest > 0:
        limit = min(limit, allowed_length + highest)
    longest = {
        token: length
        for token, length in _continuations(recent, allowed_length, limit).items()
        if () not in breakers.get(token, ()) and 0 <= token < candidates.vocabulary
    }
    ids = np.fromiter(longest.keys(), dtype=np.intp, count=len(longest))
    lengths = np.fromiter(longest.values(), dtype=np.float64, count=len(longest))
    with np.errstate(over="ignore"):
        loss = multiplier * np.power(np.float64(base), lengths - allowed_length)
    candidates.change(ids, candidates.logits_of(ids) - loss)


def _tokens_since_breaker(recent: History, breakers: Breakers) -> int:
    """How many tokens stand after the last sequence breaker."""
    if not breakers:
        return recent.size
    tokens = recent.tolist()
    for back, token in enumerate(reversed(tokens)):
        if token not in breakers:
            continue
        following = tuple(tokens[len(tokens) - back : len(tokens) - back + LONGEST_TAIL])
        lengths = [len(tail) for tail in breakers[token] if following[: len(tail)] == tail]
        if lengths:
            return back - max(lengths)
    return len(tokens)


def _continuations(recent: History, shortest: int, limit: int) -> dict[int, int]:
    """The tokens that followed an earlier occurrence of the current ending → the longest match.

    Matches shorter than `shortest` do not count, longer ones than `limit` count as that. With `shortest` 0
    every token follows a match of length 0. All places are extended backwards together, a token per round.
    """
    last = recent.size - 1
    places = np.arange(last)  # where a match may end; the token after it is the one that would continue it
    longest: dict[int, int] = {}
    length = 0
    while places.size:
        if length >= shortest:
            longest.update(dict.fromkeys(recent[places + 1].tolist(), length))
        if length == limit:
            break
        places = places[places >= length]
        places = places[recent[places - length] == recent[last - length]]
        length += 1
    return longest


class SequenceBreakers:
    """Turns DRY's breaker strings into tokens of one vocabulary, and remembers the answer.

    A breaker can lie inside a token (" end.\\n"), or begin at the end of one and go on in the next; so each
    token that holds the breaker is one by itself, and each token that ends in a beginning of it is one if the
    tokens of the rest follow. A split inside a character is not looked for.
    """

    def __init__(
        self, vocabulary: int, token_bytes: Callable[[int], bytes], encode: Callable[[str], Sequence[int]]
    ) -> None:
        """For tokens 0 to `vocabulary` - 1. `encode`: text → ids, no special tokens. Nothing is asked yet."""
        self._vocabulary = vocabulary
        self._token_bytes = token_bytes
        self._encode = encode
        self._pieces: list[bytes] = []
        self._found: dict[tuple[str, ...], Breakers] = {}

    def __call__(self, strings: tuple[str, ...]) -> Breakers:
        """The breakers of `strings`; empty strings do nothing, long ones count up to 40 bytes."""
        if strings not in self._found:
            self._pieces = self._pieces or [self._token_bytes(token) for token in range(self._vocabulary)]
            found: dict[int, set[tuple[int, ...]]] = {}
            for string in strings:
                self._add(string.encode()[:LONGEST_BREAKER_BYTES], found)
            self._found[strings] = {token: tuple(sorted(tails)) for token, tails in found.items()}
        return self._found[strings]

    def _add(self, breaker: bytes, found: dict[int, set[tuple[int, ...]]]) -> None:
        if not breaker:
            return
        tails = {split: self._tail(breaker[split:]) for split in range(1, len(breaker))}
        for token, piece in enumerate(self._pieces):
            if breaker in piece:
                found.setdefault(token, set()).add(())
                continue
            for split, tail in tails.items():
                if tail is not None and piece.endswith(breaker[:split]):
                    found.setdefault(token, set()).add(tail)

    def _tail(self, rest: bytes) -> tuple[int, ...] | None:
        """The tokens of the rest of a breaker; None where it begins inside a character."""
        try:
            return tuple(self._encode(rest.decode()))[:LONGEST_TAIL]
        except UnicodeDecodeError:
            return None

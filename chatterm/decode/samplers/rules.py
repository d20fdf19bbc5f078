"""The rules of a checkpoint as steps of the sampler, as transformers' logits processors apply them.

They stand before penalties and truncations: first what is added (sequence_bias), then what is removed. Each
is a step of its own, so that one sees by which a token was removed; one that has nothing to do here does not
run. As in every step, one token survives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
import torch

from chatterm.checkpoint.rules import Rules
from chatterm.decode.samplers.candidates import Candidates, Ids

BIASED, NO_REPEAT, BAD_WORDS, TOO_SHORT, SUPPRESSED = (
    "sequence_bias",
    "no_repeat",
    "bad_words",
    "too_short",
    "suppressed",
)
"""Names of the steps."""

History = Sequence[int] | torch.Tensor


class RuleSteps:
    """The rules of one checkpoint, ready to run."""

    def __init__(self, rules: Rules, end_ids: Collection[int] = ()) -> None:
        """`end_ids` are the tokens that end a reply; alone they are no bad words."""
        self._rules = rules
        self._ends = _ids(end_ids)
        self._suppressed = _ids(rules.suppressed)
        self._at_first = _ids(rules.suppressed | rules.at_beginning)
        ends = {(token,) for token in end_ids}
        banned = [(sequence, -np.inf) for sequence in rules.bad_words if sequence not in ends]
        self._bad_words = _Endings(banned)
        self._biases = _Endings(rules.biases)

    def run(self, candidates: Candidates, history: History, begins: int | None) -> None:
        """Run them.

        Args:
            candidates: what may come.
            history: (T,), the tokens before, prompt and reply.
            begins: where in them the reply begins; None where nobody knows, and rules about that do not hold.
        """
        if added := self._biases.after(history):
            ids = _ids(added)
            _change(
                candidates,
                BIASED,
                ids,
                candidates.logits_of(ids) + np.array([added[i] for i in ids.tolist()]),
            )
        self._remove(candidates, NO_REPEAT, self._repeating(history))
        self._remove(candidates, BAD_WORDS, _ids(self._bad_words.after(history)))
        rules, length = self._rules, len(history)
        if length < rules.least_text or (begins is not None and length - begins < rules.least_reply):
            self._remove(candidates, TOO_SHORT, self._ends)
        self._remove(candidates, SUPPRESSED, self._at_first if length == begins else self._suppressed)

    def _repeating(self, history: History) -> Ids:
        """The tokens that would make a sequence of `no_repeat` tokens come again. Shape: (N,)."""
        size = self._rules.no_repeat
        if not 0 < size <= len(history):
            return _ids(())
        tokens = np.asarray(history.cpu() if isinstance(history, torch.Tensor) else history, dtype=np.intp)
        windows = np.lib.stride_tricks.sliding_window_view(tokens, size)
        again = (windows[:, :-1] == tokens[len(tokens) + 1 - size :]).all(axis=1)
        return np.unique(windows[again, -1])

    @staticmethod
    def _remove(candidates: Candidates, step: str, ids: Ids) -> None:
        ids = ids[ids < candidates.vocabulary]
        if ids.size:
            candidates.begin(step)
            candidates.drop(ids)


class _Endings:
    """Sequences by what stands before their last tokens: to which last tokens a text comes."""

    def __init__(self, sequences: Collection[tuple[tuple[int, ...], float]]) -> None:
        self._always: dict[int, float] = defaultdict(float)
        self._after: dict[int, list[tuple[tuple[int, ...], int, float]]] = defaultdict(list)
        for sequence, value in sequences:
            if len(sequence) == 1:
                self._always[sequence[0]] += value
            else:
                self._after[sequence[-2]].append((sequence[:-1], sequence[-1], value))

    def after(self, history: History) -> dict[int, float]:
        """Last tokens of sequences all of whose other tokens stand at the end of the text."""
        found = dict(self._always)
        following = self._after.get(int(history[-1]), ()) if self._after and len(history) else ()
        for before, last, value in following:
            if len(before) <= len(history) and tuple(map(int, history[-len(before) :])) == before:
                found[last] = found.get(last, 0.0) + value
        return found


def _change(candidates: Candidates, step: str, ids: Ids, logits: np.ndarray) -> None:
    candidates.begin(step)
    candidates.change(ids, logits)


def _ids(tokens: Collection[int]) -> Ids:
    return np.array(sorted(tokens), dtype=np.intp)

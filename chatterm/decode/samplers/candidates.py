"""The tokens that may still be drawn, while the sampler chain runs over them.

A vocabulary has 49 000 to 262 000 tokens and a chain leaves a few dozen. So `Candidates` has two states:
*whole*, one array over the vocabulary in which removed tokens hold -inf, and *narrow*, short arrays of ids
and logits in canonical order, to which the first truncation leads and from which there is no way back. No
step sorts a vocabulary unless its own definition leaves no choice.

The canonical order is by logit, largest first, equal logits by token id, lowest first. Logits computed in
bfloat16 are full of ties, so this matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from chatterm.errors import UserError

Ids = npt.NDArray[np.intp]
Singles = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

LOWEST = -1e4
"""Stands for -inf in l - maximum: its exponential is 0 and, other than -inf, 0 times it is 0."""

LEADING = 64
"""Most probable tokens that are looked for at least; fewer are not found sooner."""

_NOTHING: Ids = np.empty(0, dtype=np.intp)

FIRST_LEADING = 256
"""Tokens among which the end of a leading set is looked for first."""

LARGEST_SINGLE = 3.0e38
"""Adjusted logits are held within ± this, so that a huge bias stays a number."""

SMALLEST_SINGLE = 1.2e-38
"""A smaller number loses digits in float32."""


def largest(values: Floats, k: int) -> Ids:
    """Indices of the `k` largest values, largest first, equal values by index; -inf is never among them.

    Instead of selecting among all values, it takes the k-th largest of block maxima as a bound: at least k
    values reach it, few more do. Shape: (≤ k,).
    """
    rows = values.size // max(4 * k, 256)
    if rows < 2:
        indices = np.flatnonzero(values > -np.inf)
    else:
        maxima = values[: values.size // rows * rows].reshape(rows, -1).max(axis=0)
        bound = np.partition(maxima, maxima.size - k)[maxima.size - k]
        indices = np.flatnonzero(values >= bound) if bound > -np.inf else np.flatnonzero(values > -np.inf)
    return indices[np.argsort(-values[indices], kind="stable")[:k]]


def leading(values: Floats) -> Iterator[Ids]:
    """The canonical order of `values` as growing prefixes, the last one whole. Few callers need that."""
    for k in (FIRST_LEADING, 4096, 32768):
        if k < values.size:
            yield largest(values, k)
    yield largest(values, values.size)


@dataclass(frozen=True, slots=True)
class Softmax:
    """softmax of an array of logits, without the array: p = exp(l - log_normaliser)."""

    maximum: float  # the largest logit
    log_normaliser: float  # log Σ exp(l)
    entropy: float  # -Σ p log p, nats


def softmax_of(logits: Floats) -> Softmax:
    """The softmax of logits that are finite or -inf, at least one of them finite."""
    maximum = float(logits.max())
    with np.errstate(over="ignore"):
        shifted = np.maximum(logits - logits.dtype.type(maximum), LOWEST)
    weights = np.exp(shifted)
    total = float(weights.sum())
    entropy = math.log(total) - float((weights * shifted).sum()) / total
    return Softmax(maximum, maximum + math.log(total), max(0.0, entropy))


class ModelProbabilities:
    """The model's own distribution: softmax of its logits, nothing else.

    It runs once per token over the whole vocabulary, so it works in two arrays that the caller keeps: at
    262 000 tokens allocating them costs more than the arithmetic.
    """

    def __init__(self, logits: torch.Tensor, weights: torch.Tensor, work: torch.Tensor) -> None:
        """The distribution of logits (V,), float32, on the CPU.

        `weights` and `work` are (V,) and float32. `weights` is needed until the chain has run.

        Raises:
            UserError: the logits hold NaN or +inf, or are all -inf.
        """
        self.logits: Singles = logits.numpy()
        lowest, highest = torch.aminmax(logits)
        maximum = float(highest)
        if not math.isfinite(maximum):  # so it is, too, if any of them is NaN
            raise UserError(
                "The model produced numbers that are not finite, so no next token can be chosen; load the "
                "checkpoint again, in float32 if it ran at lower precision, or check its file."
            )
        self.excluded: Ids = np.flatnonzero(self.logits == -np.inf) if lowest == -math.inf else _NOTHING
        """Tokens for which the model itself says -inf."""
        torch.sub(logits, maximum, out=work)
        if float(lowest) - maximum < LOWEST:
            work.clamp_(min=LOWEST)
        torch.exp(work, out=weights)
        self._total = float(weights.sum())
        self._weights, self._weights_tensor = weights.numpy(), weights
        entropy = math.log(self._total) - float(torch.dot(weights, work)) / self._total
        self.softmax = Softmax(maximum, maximum + math.log(self._total), max(0.0, entropy))
        self._leading: Ids = _NOTHING
        self._asked = 0

    def mass(self, ids: Ids) -> float:
        """The probability of some tokens together."""
        return float(np.exp(self.logits[ids] - np.float64(self.softmax.log_normaliser)).sum())

    def mass_without(self, ids: Ids) -> float:
        """The probability of all other tokens together; only while the chain runs.

        It is summed, because 1 - `mass` would drown a tiny one in rounding.
        """
        saved = self._weights[ids]
        self._weights[ids] = 0.0
        mass = float(self._weights_tensor.sum()) / self._total
        self._weights[ids] = saved
        return mass

    def leading(self, k: int) -> Ids:
        """The `k` most probable tokens, as `largest` gives them. Shape: (≤ k,).

        They are found once for the chain and for who looks at its result.
        """
        if k > self._asked:
            self._asked = max(k, LEADING)
            self._leading = largest(self.logits, self._asked)
        return self._leading[:k]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What one step removed: either the tokens `removed`, or (from the whole vocabulary) all but `kept`."""

    step: int  # index into the names of the steps
    tokens: int
    mass: float  # under the model's own probabilities
    removed: Ids | None = None
    kept: Ids | None = None


class Candidates:
    """The working state of one run of the chain. Steps change it in place, through the methods below.

    Whatever a step asks for, one candidate survives: the most probable one at that point.
    """

    def __init__(self, model: ModelProbabilities) -> None:
        """Every token of the model; its logits are never written to.

        Tokens for which the model itself says -inf are removed by a step of the name "model".
        """
        self.vocabulary = model.logits.size
        self.steps: list[str] = []
        self.cuts: list[Cut] = []
        self._model = model
        self._whole: Singles = model.logits
        self._whole_is_shared = True
        self._softmax: Softmax | None = model.softmax
        self._ids: Ids | None = None  # None while whole
        self._logits: Doubles = np.empty(0)
        if model.excluded.size:
            self.begin("model")
            self._record(model.excluded)

    def begin(self, step: str) -> None:
        """What follows is the work of `step`."""
        self.steps.append(step)

    # --- looking --------------------------------------------------------------------------------------

    def alive(self) -> tuple[Ids, Floats]:
        """Ids and logits of the candidates; in canonical order once narrow, by id while whole."""
        if self._ids is not None:
            return self._ids, self._logits
        if self._whole_is_shared and not self.cuts:
            return np.arange(self.vocabulary), self._whole
        ids = np.flatnonzero(self._whole > -np.inf)
        return ids, self._whole[ids]

    def leading_logits(self) -> Iterator[Floats]:
        """The logits in canonical order, as growing prefixes, the last one whole."""
        if self._ids is not None:
            yield self._logits
            return
        if self._whole_is_shared:
            yield self._whole[self._model.leading(FIRST_LEADING)]
        for ids in leading(self._whole):
            yield self._whole[ids]

    def softmax(self) -> Softmax:
        """The softmax over the candidates."""
        if self._softmax is None:
            self._softmax = softmax_of(self._whole if self._ids is None else self._logits)
        return self._softmax

    @property
    def maximum(self) -> float:
        """The largest logit."""
        if self._ids is not None:
            return float(self._logits[0])
        return self._softmax.maximum if self._softmax is not None else float(self._whole.max())

    def most_probable(self) -> int:
        """The id of the candidate with the largest logit, the lowest id among equals."""
        return int(self._whole.argmax()) if self._ids is None else int(self._ids[0])

    def result(self) -> tuple[Ids | None, Doubles]:
        """Ids, or None for the whole vocabulary, and the probabilities of the draw, which sum to 1."""
        logits = self._whole if self._ids is None else self._logits
        probabilities = np.exp(logits - np.float64(self.maximum))
        return self._ids, probabilities / probabilities.sum()

    # --- removing -------------------------------------------------------------------------------------

    def keep(self, ids: Ids) -> None:
        """Remove every candidate that is not in `ids`, which are some of the candidates in any order."""
        if ids.size == 0:
            ids = np.array([self.most_probable()], dtype=np.intp)
        if self._ids is None:
            self._narrow(np.sort(ids))
        else:
            self._keep_where(np.isin(self._ids, ids))

    def keep_leading(self, count: int) -> None:
        """Keep the first `count` candidates of the canonical order, at least one."""
        count = max(count, 1)
        if self._ids is None:
            if count < self.vocabulary:
                shared = self._whole_is_shared
                self._narrow(np.sort(self._model.leading(count) if shared else largest(self._whole, count)))
        elif count < self._ids.size:
            self._record(self._ids[count:])
            self._ids, self._logits, self._softmax = self._ids[:count], self._logits[:count], None

    def keep_from(self, logit: float) -> None:
        """Keep the candidates whose logit is at least `logit`."""
        if logit > self.maximum:
            self.keep_leading(1)
        elif self._ids is None:
            logit = max(logit, -float(np.finfo(np.float32).max))
            bound = np.float32(logit)
            if bound < logit:  # the smallest float32 that reaches the bound: the comparison stays exact
                bound = np.nextafter(bound, np.float32(np.inf))
            self._narrow(np.flatnonzero(self._whole >= bound))
        else:
            self.keep_leading(int(np.count_nonzero(self._logits >= logit)))

    def drop(self, ids: Ids) -> None:
        """Remove the candidates `ids`."""
        if ids.size == 0:
            return
        if self._ids is None:
            self.change(ids, np.full(ids.size, -np.inf))
        else:
            self._keep_where(~np.isin(self._ids, ids))

    def _record(self, removed: Ids) -> None:
        self.cuts.append(Cut(len(self.steps) - 1, removed.size, self._model.mass(removed), removed=removed))

    def _keep_where(self, stays: npt.NDArray[np.bool_]) -> None:
        assert self._ids is not None
        if stays.all():
            return
        if not stays.any():
            stays[0] = True
        if not stays.all():
            self._record(self._ids[~stays])
        self._ids, self._logits, self._softmax = self._ids[stays], self._logits[stays], None

    def _narrow(self, ids: Ids) -> None:
        """Leave only `ids`, which are in ascending order."""
        gone = [cut.removed for cut in self.cuts if cut.removed is not None]
        tokens = self.vocabulary - ids.size - sum(some.size for some in gone)
        if tokens:
            mass = self._model.mass_without(np.concatenate([ids, *gone]))
            self.cuts.append(Cut(len(self.steps) - 1, tokens, mass, kept=ids))
        elif ids.size > 4096:
            return  # nothing was removed, and the whole form is the cheaper one
        logits = self._whole[ids].astype(np.float64)
        order = np.argsort(-logits, kind="stable")
        self._ids, self._logits, self._softmax = ids[order], logits[order], None

    # --- changing -------------------------------------------------------------------------------------

    def logits_of(self, ids: Ids) -> Doubles:
        """The logits of `ids`, -inf for those that are not candidates. Shape: as `ids`."""
        if self._ids is None:
            return self._whole[ids].astype(np.float64)
        logits = np.full(ids.size, -np.inf)
        places, asked = self._places(ids)
        logits[asked] = self._logits[places]
        return logits

    def change(self, ids: Ids, logits: Doubles) -> None:
        """Give those of `ids` (distinct) that are candidates new logits; -inf removes them.

        A huge value is held at ± `LARGEST_SINGLE`.
        """
        logits = np.where(logits == -np.inf, -np.inf, np.clip(logits, -LARGEST_SINGLE, LARGEST_SINGLE))
        if self._ids is None:
            self._change_whole(ids, logits)
            return
        places, asked = self._places(ids)
        changed = self._logits.copy()
        changed[places] = logits[asked]
        if not (changed > -np.inf).any():
            changed[0] = self._logits[0]
        self._logits = changed
        self._keep_where(changed > -np.inf)
        order = np.lexsort((self._ids, -self._logits))
        self._ids, self._logits, self._softmax = self._ids[order], self._logits[order], None

    def _change_whole(self, ids: Ids, logits: Doubles) -> None:
        alive = self._whole[ids] > -np.inf
        ids, logits = ids[alive], logits[alive]
        if ids.size == 0:
            return
        spared = self.most_probable()
        before = self._whole[spared]
        if self._whole_is_shared:
            self._whole, self._whole_is_shared = self._whole.copy(), False
        self._whole[ids] = logits
        if self._whole.max() == -np.inf:
            self._whole[spared] = before
        removed = ids[self._whole[ids] == -np.inf]
        if removed.size:
            self._record(removed)
        self._softmax = None

    def _places(self, ids: Ids) -> tuple[list[int], list[int]]:
        """Where those of `ids` that are candidates stand among the narrow arrays, and in `ids`."""
        assert self._ids is not None
        place = {token: at for at, token in enumerate(self._ids.tolist())}
        found = [(place[token], at) for at, token in enumerate(ids.tolist()) if token in place]
        return [at for at, _ in found], [at for _, at in found]

    def scale(self, temperature: float) -> None:
        """Divide all logits by a temperature > 0.

        Where a tiny temperature would overflow, the largest logit is subtracted first, which changes no
        probability.
        """
        maximum = self.maximum
        offset = maximum if abs(maximum) / temperature > LARGEST_SINGLE else 0.0
        with np.errstate(over="ignore"):
            if self._ids is not None:
                self._logits = (self._logits - offset) / temperature
            elif temperature < SMALLEST_SINGLE:
                self._whole = ((self._whole - np.float64(offset)) / temperature).astype(np.float32)
            else:
                self._whole = (self._whole - np.float32(offset)) / np.float32(temperature)
        self._whole_is_shared = False
        self._softmax = None

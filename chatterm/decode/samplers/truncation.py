"""The steps that remove tokens, each a plain function on `Candidates`.

Definitions and the treatment of equality follow llama.cpp (src/llama-sampler.cpp); the papers are named at
each step. Probabilities inside a step are those of the candidates that earlier steps left, renormalised.
"""

from __future__ import annotations

import math

import numpy as np

from chatterm.decode.samplers.candidates import Candidates, Floats, leading


def top_k(candidates: Candidates, k: int) -> None:
    """Keep the k most probable (Fan, Lewis and Dauphin, 2018); of equals the lowest ids."""
    candidates.keep_leading(k)


def top_p(candidates: Candidates, p: float) -> None:
    """Keep the smallest leading set whose probability reaches p (nucleus sampling, Holtzman et al., 2020)."""
    normaliser = candidates.softmax().log_normaliser
    ids, logits = candidates.alive()
    enough = _prefix(logits, np.exp(logits - normaliser), p, strictly=False)
    candidates.keep(ids[enough])


def typical(candidates: Candidates, p: float) -> None:
    """Keep the smallest set whose probability exceeds p, taken by closeness of -log p to the entropy.

    Locally typical sampling (Meister et al., 2023).
    """
    softmax = candidates.softmax()
    ids, logits = candidates.alive()
    surprise = softmax.log_normaliser - logits
    enough = _prefix(-np.abs(surprise - softmax.entropy), np.exp(-surprise), p, strictly=True)
    candidates.keep(ids[enough])


def _prefix(preference: Floats, probabilities: Floats, p: float, *, strictly: bool) -> slice | np.ndarray:
    """Indices of the leading tokens, by preference, whose mass reaches (strictly: exceeds) p."""
    for order in leading(preference):
        mass = np.cumsum(probabilities[order], dtype=np.float64)
        count = int(np.searchsorted(mass, p, side="right" if strictly else "left")) + 1
        if count <= order.size:
            return order[:count]
    return slice(None)


def min_p(candidates: Candidates, p: float) -> None:
    """Keep tokens at least p times as probable as the most probable one (Nguyen et al., 2024)."""
    candidates.keep_from(candidates.maximum + math.log(p))


def top_n_sigma(candidates: Candidates, n: float) -> None:
    """Keep logits within n standard deviations of the largest (Tang et al., 2024).

    The deviation is that of the candidates' logits (divided by their number).
    """
    _, logits = candidates.alive()
    finite = logits[np.isfinite(logits)]  # a tiny temperature run before may have sent some to -inf
    if finite.size > 1:
        candidates.keep_from(candidates.maximum - n * float(finite.std(dtype=np.float64)))


def xtc(candidates: Candidates, threshold: float, end_ids: frozenset[int]) -> None:
    """Of the tokens whose probability reaches the threshold drop all but the least probable, no end token.

    "Exclude top choices" (P. E. Weidmann, text-generation-webui pull request 6335). Whether it runs at all is
    a coin that the caller throws.
    """
    ids, logits = candidates.alive()
    if ids.size < 2:
        return
    normaliser = candidates.softmax().log_normaliser
    above = np.flatnonzero(np.exp(logits - normaliser) >= threshold)
    if above.size < 2:
        return
    order = np.lexsort((ids[above], -logits[above]))
    chosen = ids[above[order[:-1]]]
    candidates.drop(chosen[[int(token) not in end_ids for token in chosen]])


def temperature(candidates: Candidates, value: float) -> None:
    """Divide the logits by the temperature; 0 keeps only the most probable token, of equals the lowest id."""
    if value == 0.0:
        candidates.keep_leading(1)
    elif value != 1.0:
        candidates.scale(value)


def mirostat(candidates: Candidates, mu: float) -> None:
    """Keep tokens whose surprise -log2 p is at most mu bits (Mirostat 2.0, Basu et al., 2021)."""
    candidates.keep_from(candidates.softmax().log_normaliser - mu * math.log(2.0))

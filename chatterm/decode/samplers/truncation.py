"""The steps that remove tokens, each a plain function on `Candidates`.

Definitions and the treatment of equality follow llama.cpp (src/llama-sampler.cpp); the papers are named at
each step. Probabilities inside a step are those of the candidates that earlier steps left, renormalised.
"""

from __future__ import annotations

import math

import numpy as np

from chatterm.decode.samplers.candidates import Candidates, leading

ROUNDING = 1e-6
"""A mass this close to p reaches it: float32 logits know it no better; 0.4 + 0.3 is meant to reach 0.7."""


def top_k(candidates: Candidates, k: int) -> None:
    """Keep the k most probable (Fan, Lewis and Dauphin, 2018); of equals the lowest ids."""
    candidates.keep_leading(k)


def top_p(candidates: Candidates, p: float) -> None:
    """Keep the smallest leading set whose probability reaches p (nucleus sampling, Holtzman et al., 2020)."""
    normaliser = candidates.softmax().log_normaliser
    for logits in candidates.leading_logits():
        mass = np.cumsum(np.exp(logits - normaliser), dtype=np.float64)
        count = int(np.searchsorted(mass, p - ROUNDING)) + 1
        if count <= logits.size:
            candidates.keep_leading(count)
            return


def typical(candidates: Candidates, p: float) -> None:
    """Keep the smallest set whose probability exceeds p, taken by closeness of -log p to the entropy.

    Locally typical sampling (Meister et al., 2023).
    """
    softmax = candidates.softmax()
    ids, logits = candidates.alive()
    surprise = softmax.log_normaliser - logits
    for order in leading(-np.abs(surprise - softmax.entropy)):
        mass = np.cumsum(np.exp(-surprise[order]), dtype=np.float64)
        count = int(np.searchsorted(mass, p, side="right")) + 1
        if count <= order.size:
            candidates.keep(ids[order[:count]])
            return


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

"""What `benchmarks.parity.keys` changes: rotary settings."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from benchmarks.parity.cases import TRAINED

DROPPED: Any = object()
"""In place of a value: the key is taken out."""

_LINEAR = {"rope_type": "linear", "factor": 4.0}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED}
_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": TRAINED,
}
_ROPES: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"rope_type": "default"},
    {"rope_theta": 500.0},
    {"rope_type": "default", "rope_theta": 500.0},
    {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5},
    {"rope_type": "default", "partial_rotary_factor": 1.0},
    {"rope_type": "default", "factor": 4.0},
    {"rope_type": "default", "mrope_section": [2, 3, 3]},
    {"type": "linear", "factor": 4.0},
    _LINEAR,
    _LINEAR | {"rope_theta": 500.0},
    _LINEAR | {"attention_factor": 2.0, "finetuned": True},
    _LINEAR | {"type": "yarn"},
    {"type": "dynamic", "factor": 2.0},
    {"type": "dynamic", "factor": 2.0, "alpha": 10.0},
    _YARN,
    {"type": "yarn", "factor": 4.0},
    _YARN | {"rope_theta": 500.0},
    _YARN | {"attention_factor": 1.7},
    _YARN | {"mscale": 0.7, "mscale_all_dim": 0.3},
    _YARN | {"mscale": 0.7},
    _YARN | {"beta_fast": 16, "beta_slow": 2},
    _YARN | {"truncate": False},
    _LLAMA3,
    _LLAMA3 | {"rope_theta": 500.0},
    {"type": "su", "factor": 4.0},
    {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 500.0},
    {"rope_type": "longrope", "short_factor": [1.5] * 8, "long_factor": [3.0] * 8, "factor": 4.0,
     "original_max_position_embeddings": TRAINED},
    {"full_attention": _LINEAR | {"rope_theta": 500.0},
     "sliding_attention": {"rope_type": "default", "rope_theta": 90.0}},
    {"full_attention": {"rope_type": "default"}, "sliding_attention": _LINEAR},
    {"full_attention": _YARN, "sliding_attention": {"rope_type": "default"}},
    {"full_attention": _YARN | {"truncate": False, "rope_theta": 500.0}},
    {"full_attention": _LLAMA3 | {"rope_theta": 500.0}, "sliding_attention": None},
)  # fmt: skip


def rotary_changes(*, by_kind: bool, quick: bool) -> Iterator[dict[str, Any]]:
    """Rotary settings in the newer style, in the older one, and in both at once.

    Args:
        by_kind: the family has one object for each layer type, so try more of those.
        quick: only every fifth of the settings.
    """
    ropes = _ROPES if by_kind else _ROPES[:-4]
    for rope in ropes[4::5] if quick else ropes:
        for name in ("rope_parameters", "rope_scaling"):
            yield {name: copy.deepcopy(rope)}
        yield {"rope_parameters": DROPPED, "rope_scaling": copy.deepcopy(rope)}
        yield {"rope_parameters": copy.deepcopy(rope), "rope_scaling": DROPPED, "rope_theta": 777.0}
        yield {"rope_parameters": DROPPED, "rope_scaling": copy.deepcopy(rope), "rope_theta": 777.0}
        yield {
            "rope_parameters": {"rope_type": "default", "rope_theta": 300.0},
            "rope_scaling": copy.deepcopy(rope),
        }
    for beside in (
        {"rope_theta": 777.0},
        {"partial_rotary_factor": 0.5},
        {"original_max_position_embeddings": 64},
    ):
        yield {
            "rope_parameters": {"rope_type": "default", "rope_theta": 300.0},
            "rope_scaling": _YARN,
        } | beside
        yield {"rope_parameters": _YARN | {"rope_theta": 300.0}, "rope_scaling": None} | beside
        yield {"rope_parameters": _LLAMA3, "rope_scaling": {}} | beside

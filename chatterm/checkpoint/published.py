"""What GGUF has no place for: which settings a file leaves open, and what well-known checkpoints have there.

llama.cpp's converter writes nothing about some settings of `config.json`, so two different checkpoints can
give one and the same file (docs/parity.md lists them). The family's usual value is taken then. Where name and
sizes leave no doubt which published checkpoint a file was made of, that checkpoint's value is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.gguf import GGUFFile


@dataclass(frozen=True)
class Published:
    """A published checkpoint, how its files are recognised, and what they cannot say."""

    name: str
    architecture: str  # `general.architecture`
    called: str  # regular expression within general.name or general.basename, words joined by hyphens
    sizes: Mapping[str, Any]  # keys of the file that must hold exactly these values
    settings: Mapping[str, Any]  # what to add, in the names of config.json
    source: str  # where that is stated


def _star_coder(size: str, layers: int, width: int, heads: int, keys: int) -> Published:
    return Published(
        f"bigcode/starcoder2-{size}",
        "starcoder2",
        f"starcoder-?2-{size}",
        {
            "block_count": layers,
            "embedding_length": width,
            "attention.head_count": heads,
            "attention.head_count_kv": keys,
            "context_length": 16_384,
        },
        {"sliding_window": 4096},
        "arXiv:2402.19173: sliding window attention of 4,096 tokens",
    )


PUBLISHED = (
    Published(
        "mistralai/Mistral-7B-v0.1",
        "llama",
        r"mistral-7b(-instruct)?-v0\.1",
        {
            "block_count": 32,
            "embedding_length": 4096,
            "feed_forward_length": 14_336,
            "attention.head_count": 32,
            "attention.head_count_kv": 8,
            "context_length": 32_768,
            "rope.freq_base": 10_000.0,
        },
        {"sliding_window": 4096},
        "arXiv:2310.06825, table 1: window size 4096",
    ),
    _star_coder("3b", 30, 3072, 24, 2),
    _star_coder("7b", 32, 4608, 36, 4),
    _star_coder("15b", 40, 6144, 48, 4),
    Published(
        "EleutherAI/gpt-neox-20b",
        "gptneox",
        "gpt-neox-20b",
        {"block_count": 44, "embedding_length": 6144, "attention.head_count": 64},
        {"hidden_act": "gelu_fast"},
        "its config.json: gelu_fast, the tanh form",
    ),
)

_WINDOW, _PATTERN, _BASE = "window", "which layers have windows", "rotary base"
_ACTIVATION, _SCALE, _ALIBI = "activation", "scale of attention", "ALiBi"
_UNROTATED, _SCALING = "which layers have no rotary", "rotary scaling"

LEFT_OPEN: Mapping[str, tuple[str, ...]] = {
    "gpt2": (_ACTIVATION, _SCALE),
    "gptneox": (_BASE, _SCALING, _ACTIVATION),
    "llama": (_WINDOW, _ACTIVATION),
    "qwen2": (_WINDOW, _ACTIVATION),
    "qwen3": (_WINDOW, _ACTIVATION),
    "gemma": (_BASE, _SCALING, _ACTIVATION),
    "gemma2": (_PATTERN, _BASE, _SCALING, _SCALE, _ACTIVATION),
    "gemma3": (_PATTERN, _SCALE, _ACTIVATION),
    "phi2": (_BASE, _SCALING, _ACTIVATION),
    "phi3": (_ACTIVATION,),
    "olmo2": (_ACTIVATION,),
    "granite": (_ACTIVATION,),
    "smollm3": (_WINDOW, _UNROTATED, _ACTIVATION),
    "starcoder2": (_WINDOW, _ACTIVATION),
    "stablelm": (_BASE, _SCALING, _ACTIVATION),
    "command-r": (_ACTIVATION,),
    "cohere2": (_PATTERN, _ACTIVATION),
    "falcon": (_BASE, _SCALING, _ALIBI, _ACTIVATION),
}
"""`general.architecture` → settings of its `config.json` that the converter does not write."""

_STATED_BY = {
    _WINDOW: ("attention.sliding_window",),
    _PATTERN: ("attention.sliding_window_pattern",),
    _BASE: ("rope.freq_base", "rope.global.freq_base"),
    _SCALING: ("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear"),
    _ACTIVATION: ("hidden_activation",),
    _SCALE: ("attention.scale",),
    _ALIBI: (),
    _UNROTATED: ("attention.rope_pattern",),
}
"""Keys by which another program may have written it after all."""


def published_settings(file: GGUFFile, kind: str) -> Published | None:
    """The published checkpoint that a file was made of without a doubt, if it has something to add."""
    names = [file.metadata.get(key) for key in ("general.name", "general.basename")]
    spoken = ["-".join(re.split(r"[\s_-]+", name.lower())) for name in names if isinstance(name, str)]
    for known in PUBLISHED:
        fits = all(_same(file.metadata.get(f"{kind}.{key}"), value) for key, value in known.sizes.items())
        if known.architecture == kind and fits and any(re.search(known.called, name) for name in spoken):
            return known
    return None


def _same(stated: object, value: object) -> bool:
    if isinstance(stated, list):
        return bool(stated) and all(each == value for each in stated)
    return stated == value or (stated is None and value == 10_000.0)


def left_open(file: GGUFFile, architecture: Architecture) -> str | None:
    """What the file does not say, each with the value that was taken; None where it says all."""
    kind = str(file.metadata.get("general.architecture"))
    open_ = [
        what
        for what in LEFT_OPEN.get(kind, ())
        if not any(f"{kind}.{key}" in file.metadata for key in _STATED_BY[what])
    ]
    if not open_:
        return None
    taken = "; ".join(f"{what} ({_taken(what, architecture)})" for what in open_)
    known = published_settings(file, kind)
    return taken if known is None else f"{taken}; as {known.name} has it"


def _taken(what: str, architecture: Architecture) -> str:
    layers = architecture.layer_options
    windows = [layer.window for layer in layers]
    if what == _WINDOW:
        return "none" if not any(windows) else f"{max(filter(None, windows))} tokens"
    if what == _PATTERN:
        full = [number for number, window in enumerate(windows) if window is None]
        return f"all but {len(full)} of {len(layers)}"
    if what == _BASE:
        first = next((layer.rotary for layer in layers if layer.rotary is not None), None)
        return "none" if first is None else f"{first.base:g}"
    if what == _SCALE:
        return f"{layers[0].attention_scale:.4g}"
    if what == _UNROTATED:
        return ", ".join(str(number) for number, layer in enumerate(layers) if layer.rotary is None) or "none"
    return {_ACTIVATION: architecture.activation, _ALIBI: "none", _SCALING: "none"}[what]

"""A GGUF file's metadata → the options of its decoder.

The family reads the settings that `gguf_config` translates. What no `config.json` says in that way is added
here: windows in layers that the file names, a rotary base of windowed layers, and what a published checkpoint
is known to have where its file has no place for it (`chatterm.checkpoint.published`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chatterm.checkpoint.architecture import Architecture, LayerOptions, Rotary
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families.family import Family
from chatterm.checkpoint.gguf import GGUFFile
from chatterm.checkpoint.gguf_config import WINDOWS_BY_RULE, gguf_config, window_pattern
from chatterm.checkpoint.gguf_keys import refuse_keys
from chatterm.checkpoint.published import published_settings
from chatterm.errors import UserError

_EVERY_LAYER = frozenset({"llama", "phi3", "starcoder2"})
"""A window without a pattern is in all layers, as in Mistral's, Phi-3's and StarCoder 2's `config.json`."""
_FULL_EVERY = {"olmo2": 4}
"""Every how-manieth layer is full, where a file has a window and no pattern."""


def gguf_architecture(file: GGUFFile, kind: str, family: Family) -> Architecture:
    """The decoder that a GGUF file of `general.architecture` `kind` describes.

    Raises:
        UserError: a setting is missing, malformed or not supported, or a key is not known.
    """
    refuse_keys(file, kind)
    known = published_settings(file, kind)
    settings = {**gguf_config(file, kind), **(known.settings if known else {})}
    if "vocab_size" not in settings and not file.tensors:
        settings["vocab_size"] = 1  # only the head of the file was fetched; the embedding stands behind it
    defaults = {**family.defaults, **family.gguf_defaults}
    architecture = family.options(Config(settings, str(file.path), defaults))
    architecture = _windowed(architecture, file, kind, settings.get("sliding_window"))
    if kind == "granite" and not file.metadata.get("granite.rope.scaling.finetuned", True):
        architecture = _with_layers(architecture, lambda layer: replace(layer, rotary=None))
    _refuse_other_share(architecture, file, kind)
    return architecture


def _windowed(architecture: Architecture, file: GGUFFile, kind: str, known: int | None) -> Architecture:
    """With the windows that the file names, or that the published checkpoint is `known` to have."""
    key = f"{kind}.attention.sliding_window"
    window = file.metadata.get(key) or known
    pattern = window_pattern(file, kind)
    local = file.metadata.get(f"{kind}.rope.freq_base_swa")
    if kind in WINDOWS_BY_RULE:
        return architecture if kind == "gemma3" or local is None else _local_base(architecture, float(local))
    if not window:
        if pattern is not None and any(pattern):
            raise UserError(
                f"{file.path}: “{key}_pattern” names layers with windows, but “{key}” is missing."
            )
        return architecture
    if isinstance(window, bool) or not isinstance(window, int):
        raise UserError(f"{file.path}: “{key}” is {window!r:.60} but must be a whole number.")
    if pattern is None and (pattern := _usual_pattern(architecture, kind)) is None:
        if window >= architecture.context:
            return architecture
        raise UserError(
            f"{file.path}: “{key}” is {window}, but nothing says which layers of a {kind} it is "
            "for; leaving the "
            "windows out would give wrong numbers. Take the model as a folder of safetensors."
        )
    return _with_windows(architecture, pattern, window, None if local is None else float(local))


def _usual_pattern(architecture: Architecture, kind: str) -> tuple[bool, ...] | None:
    if kind in _EVERY_LAYER:
        return (True,) * architecture.layers
    every = _FULL_EVERY.get(kind)
    if every is None:
        return None
    return tuple((layer + 1) % every != 0 for layer in range(architecture.layers))


def _with_windows(
    architecture: Architecture, pattern: tuple[bool, ...], window: int, local: float | None
) -> Architecture:
    # OLMo 3 is OLMo 2 with windows, in whose layers positions are not stretched
    is_olmo3 = architecture.family == "olmo2"

    def short(layer: LayerOptions) -> LayerOptions:
        rotary = layer.rotary
        if rotary is not None:
            rotary = replace(rotary, scaling=None if is_olmo3 else rotary.scaling)
        return replace(layer, window=window, rotary=_based(rotary, local))

    layers = zip(architecture.layer_options, pattern, strict=True)
    return replace(
        architecture,
        family="olmo3" if is_olmo3 else architecture.family,
        layer_options=tuple(short(layer) if is_short else layer for layer, is_short in layers),
    )


def _local_base(architecture: Architecture, base: float) -> Architecture:
    return _with_layers(
        architecture,
        lambda layer: layer if layer.window is None else replace(layer, rotary=_based(layer.rotary, base)),
    )


def _based(rotary: Rotary | None, base: float | None) -> Rotary | None:
    return rotary if rotary is None or base is None else replace(rotary, base=base)


def _with_layers(architecture: Architecture, change: Callable[[LayerOptions], LayerOptions]) -> Architecture:
    return replace(architecture, layer_options=tuple(map(change, architecture.layer_options)))


def _refuse_other_share(architecture: Architecture, file: GGUFFile, kind: str) -> None:
    """A share of each head that turns, where the family turns another one."""
    key = f"{kind}.rope.dimension_count"
    stated = file.metadata.get(key)
    turned = {layer.rotary.dimensions for layer in architecture.layer_options if layer.rotary is not None}
    if stated and turned and turned != {stated}:
        raise UserError(
            f"{file.path}: “{key}” is {stated!r:.20}, but {min(turned)} components of each head turn in a "
            f"{architecture.family} decoder with heads of {architecture.head_size}; it is a variant "
            "that is not "
            "supported."
        )

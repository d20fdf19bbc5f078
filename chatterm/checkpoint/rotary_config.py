"""Rotary settings out of a configuration, in both styles.

New: `rope_parameters`, one object or one per layer type. Old: `rope_theta`, `rope_scaling`,
`partial_rotary_factor` side by side. Formulas of the defaults are those of the papers named in
`chatterm.checkpoint.architecture`, as Hugging Face transformers fills them in.
"""

from __future__ import annotations

import math

from chatterm.checkpoint.architecture import (
    DynamicScaling,
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rotary,
    Scaling,
    YarnScaling,
)
from chatterm.checkpoint.config import Config
from chatterm.errors import UserError

MAX_POSITIONS = 2**31
LEAST_BASE, MOST_BASE = 1.01, 1e15
LEAST_FACTOR, MOST_FACTOR = 1e-3, 1e6
MOST_SHARPENING = 100.0
LEAST_DIVISOR = 1e-6
"""Of one frequency; the largest, 1e30, keeps a pair from turning."""


def read_rotary(
    config: Config,
    head_size: int,
    *,
    layer_type: str = "full_attention",
    partial: bool = False,
    base: float = 10_000.0,
    longrope_names: tuple[str, ...] = ("longrope",),
) -> Rotary:
    """The rotary embedding of the layers of one type.

    Args:
        config: the whole configuration.
        head_size: components of one head.
        layer_type: which entry, where `rope_parameters` has one per layer type.
        partial: the family rotates only a share of each head, by `partial_rotary_factor`.
        base: the family's base where the file gives none.
        longrope_names: the scaling types that mean LongRoPE in this family.

    Raises:
        UserError: the settings are malformed, or of a kind that is not supported.
    """
    settings = config.section("rope_parameters")
    if settings is not None and settings.section(layer_type) is not None:
        settings = settings.section(layer_type)
    if settings is None or not (settings.stated("rope_theta") or settings.stated("rope_type")):
        settings = config.section("rope_scaling") or Config({}, config.where)
    outer_base = config.number("rope_theta", base, least=LEAST_BASE, most=MOST_BASE)
    chosen_base = settings.number("rope_theta", outer_base, least=LEAST_BASE, most=MOST_BASE)
    share = (
        settings.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0))
        if partial
        else 1.0
    )
    dimensions = int(head_size * share)
    if not 2 <= dimensions <= head_size or dimensions % 2:
        raise UserError(f"{config.where}: {share:g} of a head of {head_size} cannot be rotated in pairs.")
    scaling = _read_scaling(settings, config, dimensions, longrope_names)
    return Rotary(dimensions, chosen_base, scaling)


def _read_scaling(
    settings: Config, config: Config, dimensions: int, longrope_names: tuple[str, ...]
) -> Scaling | None:
    kind = settings.text("rope_type", settings.text("type", "default"))
    if kind == "default":
        return None
    if kind in longrope_names:
        return _longrope(settings, config, dimensions)
    if kind == "linear":
        return LinearScaling(_factor(settings))
    if kind == "dynamic":
        if dimensions <= 2:
            raise config.wrong("head_dim", dimensions, "larger for dynamic rotary scaling")
        return DynamicScaling(
            _factor(settings), config.integer("max_position_embeddings", most=MAX_POSITIONS)
        )
    if kind == "llama3":
        low = settings.number("low_freq_factor", least=LEAST_FACTOR, most=MOST_FACTOR)
        high = settings.number("high_freq_factor", least=LEAST_FACTOR, most=MOST_FACTOR)
        if high <= low:
            raise settings.wrong("high_freq_factor", high, f"more than the {low:g} of low_freq_factor")
        return Llama3Scaling(_factor(settings), low, high, _trained(settings, config))
    if kind == "yarn":
        return _yarn(settings, config)
    if kind == "factors":  # our own name for GGUF's tensor `rope_freqs`
        return FactorScaling(_factors(settings, "factors", dimensions))
    raise UserError(
        f"{config.where}: rotary scaling “{kind[:40]}” is not supported; linear, dynamic, llama3, yarn and "
        "longrope are."
    )


def _factor(settings: Config) -> float:
    return settings.number("factor", least=LEAST_FACTOR, most=MOST_FACTOR)


def _optional_factor(settings: Config, key: str) -> float | None:
    return settings.optional_number(key, least=LEAST_FACTOR, most=MOST_FACTOR)


def _trained(settings: Config, config: Config) -> int:
    """The length before extension: beside the other keys (Phi-3), among them, or the whole context."""
    for source in (config, settings):
        if source.stated("original_max_position_embeddings"):
            return source.integer("original_max_position_embeddings", least=2, most=MAX_POSITIONS)
    return config.integer("max_position_embeddings", least=2, most=MAX_POSITIONS)


def _factors(settings: Config, key: str, dimensions: int) -> tuple[float, ...]:
    factors = settings.numbers(key)
    if factors is None or len(factors) != dimensions // 2 or min(factors) < LEAST_DIVISOR:
        expected = f"{dimensions // 2} numbers from {LEAST_DIVISOR:g} on"
        raise settings.wrong(key, None if factors is None else list(factors), expected)
    return factors


def _yarn(settings: Config, config: Config) -> YarnScaling:
    trained = _trained(settings, config)
    factor = settings.number(
        "factor",
        config.integer("max_position_embeddings", most=MAX_POSITIONS) / trained,
        least=LEAST_FACTOR,
        most=MOST_FACTOR,
    )

    def sharpening(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    attention_factor = _optional_factor(settings, "attention_factor")
    weight, weight_of_all = (  # below zero the quotient may have no divisor
        settings.number(key, 0.0, least=0.0, most=MOST_SHARPENING) for key in ("mscale", "mscale_all_dim")
    )
    if attention_factor is None:
        both = bool(weight and weight_of_all)
        attention_factor = sharpening(weight) / sharpening(weight_of_all) if both else sharpening(1.0)
    return YarnScaling(
        factor,
        trained,
        attention_factor,
        _optional_factor(settings, "beta_fast") or 32.0,
        _optional_factor(settings, "beta_slow") or 1.0,
        settings.flag("truncate", True),
    )


def _longrope(settings: Config, config: Config, dimensions: int) -> LongRopeScaling:
    trained = _trained(settings, config)
    attention_factor = _optional_factor(settings, "attention_factor")
    if attention_factor is None:
        context = config.integer("max_position_embeddings", most=MAX_POSITIONS)
        factor = settings.number("factor", context / trained, least=LEAST_FACTOR, most=MOST_FACTOR)
        attention_factor = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    return LongRopeScaling(
        _factors(settings, "short_factor", dimensions),
        _factors(settings, "long_factor", dimensions),
        trained,
        attention_factor,
    )

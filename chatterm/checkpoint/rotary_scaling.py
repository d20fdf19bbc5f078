"""How a rotary embedding is stretched beyond its trained length: the kinds that a configuration names.

Formulas of the defaults are those of the papers named in `chatterm.checkpoint.architecture`, as Hugging Face
transformers fills them in.
"""

from __future__ import annotations

import math

from chatterm.checkpoint.architecture import (
    DynamicScaling,
    FactorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Scaling,
    YarnScaling,
)
from chatterm.checkpoint.config import Config
from chatterm.errors import UserError

MAX_POSITIONS = 2**31
LEAST_FACTOR, MOST_FACTOR = 1e-3, 1e6
MOST_SHARPENING = 100.0
LEAST_DIVISOR = 1e-6
"""Of one frequency; the largest, 1e30, keeps a pair from turning."""
SETTINGS = (
    *("rope_theta", "rope_type", "type", "partial_rotary_factor", "factor", "attention_factor"),
    *("original_max_position_embeddings", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    *("short_factor", "long_factor", "low_freq_factor", "high_freq_factor"),
)
"""All that any kind of scaling reads; one passes over what another would read, as transformers does."""


def read_scaling(
    settings: Config, config: Config, dimensions: int, longrope_names: tuple[str, ...]
) -> Scaling | None:
    """The scaling that one object of rotary settings asks for.

    Args:
        settings: that object.
        config: the whole configuration; it has the length of the context.
        dimensions: components of one head that turn.
        longrope_names: the kinds that mean LongRoPE in this family.

    Raises:
        UserError: a number is missing or absurd, or the kind is not supported.
    """
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
        if source.get("original_max_position_embeddings") is not None:
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

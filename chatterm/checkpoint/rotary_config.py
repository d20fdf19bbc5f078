"""Rotary settings out of a configuration, in both styles.

New: `rope_parameters`, one object or one per layer type. Old: `rope_theta`, `rope_scaling`,
`partial_rotary_factor` side by side. Where a file has both, they are joined as Hugging Face transformers 5.23
joins them (`RotaryEmbeddingConfigMixin.convert_rope_params_to_dict`). The scalings themselves are read in
`chatterm.checkpoint.rotary_scaling`.
"""

from __future__ import annotations

from chatterm.checkpoint.architecture import Rotary, YarnScaling
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.rotary_scaling import SETTINGS, read_scaling
from chatterm.errors import UserError

LEAST_BASE, MOST_BASE = 1.01, 1e15
LAYER_TYPES = ("full_attention", "sliding_attention")


def read_rotary(
    config: Config,
    head_size: int,
    *,
    partial: bool = False,
    base: float = 10_000.0,
    longrope_names: tuple[str, ...] = ("longrope",),
) -> Rotary:
    """The rotary embedding of a family that turns all its layers alike.

    `rope_scaling`, unless it is empty, stands in for the whole of `rope_parameters`; what the chosen one
    leaves out comes from the keys beside it.

    Args:
        config: the whole configuration.
        head_size: components of one head.
        partial: the family rotates only a share of each head, by `partial_rotary_factor`.
        base: the family's base where the file gives none.
        longrope_names: the scaling types that mean LongRoPE in this family.

    Raises:
        UserError: the settings are malformed, or of a kind that is not supported.
    """
    settings = _one_for_all_layers(config)
    outer_base = config.number("rope_theta", base, least=LEAST_BASE, most=MOST_BASE)
    chosen_base = settings.number("rope_theta", outer_base, least=LEAST_BASE, most=MOST_BASE)
    share = _share(settings, config, partial)
    _settle(settings, config)
    return _rotary(settings, config, head_size, chosen_base, share, longrope_names)


def rotary_by_kind(
    config: Config,
    head_size: int,
    *,
    base: float,
    local_base: float | None = None,
    local_key: str | None = None,
) -> tuple[Rotary, Rotary]:
    """The rotary embeddings of the full and of the windowed layers, where a family has one for each.

    `rope_parameters` holds an object for each of the two. The older keys speak of the full layers:
    `rope_theta` fills their base in, and `rope_scaling` is laid over their object, key by key.

    Args:
        config: the whole configuration.
        head_size: components of one head.
        base: of full layers, where the file gives none.
        local_base: of windowed layers, where the file gives none; None: what full layers have there.
        local_key: the older key of the windowed layers' base, if the family has one.

    Raises:
        UserError: as for `read_rotary`; or `rope_parameters` does not say for which layers it is.
    """
    both = config.section("rope_parameters") or Config({}, config.where)
    if both.keys() and not both.keys() & set(LAYER_TYPES):
        raise config.wrong("rope_parameters", sorted(both.keys()), f"one object for each of {LAYER_TYPES}")
    full = _full_settings(config, both)
    short = both.section("sliding_attention") or Config({}, config.where)
    outer = config.number("rope_theta", base, least=LEAST_BASE, most=MOST_BASE)
    outer_local = outer if local_base is None else local_base
    if local_key is not None:
        outer_local = config.number(local_key, outer_local, least=LEAST_BASE, most=MOST_BASE)
    bases = (
        full.number("rope_theta", outer, least=LEAST_BASE, most=MOST_BASE),
        short.number("rope_theta", outer_local, least=LEAST_BASE, most=MOST_BASE),
    )
    found = [
        _rotary(settings, config, head_size, chosen, _share(settings, config, partial=False), ("longrope",))
        for settings, chosen in zip((full, short), bases, strict=True)
    ]
    for rotary in found:  # transformers looks for this one beside the two objects, where nobody writes it
        if isinstance(rotary.scaling, YarnScaling) and not rotary.scaling.truncate:
            raise both.wrong("truncate", False, "true where full and windowed layers turn differently")
    _settle(full, config)
    return found[0], found[1]


def _settle(settings: Config, config: Config) -> None:
    for key in ("rope_theta", "partial_rotary_factor"):
        if settings.stated(key):
            config.settle(key)


def _full_settings(config: Config, both: Config) -> Config:
    full = both.section("full_attention") or Config({}, config.where)
    older = config.section("rope_scaling")
    if older is None:
        return full
    if older.stated("type") and not older.stated("rope_type"):  # transformers 5.23 takes it for no scaling
        raise older.wrong("rope_type", None, "stated: its older name “type” is read in two ways")
    return config.laid_over("rope_scaling", full)


def _one_for_all_layers(config: Config) -> Config:
    older, newer = config.section("rope_scaling"), config.section("rope_parameters")
    if older is not None and older.keys():
        config.pass_over("rope_parameters")
        if newer is not None:
            newer.pass_over(*newer.keys())
        newer = older
    settings = newer or Config({}, config.where)
    if nested := settings.keys() & set(LAYER_TYPES):
        raise settings.wrong(min(nested), "an object of its own", "left out: all layers turn alike here")
    return settings


def _share(settings: Config, config: Config, partial: bool) -> float:
    """The share of each head that turns: all of it, in most families."""
    share = settings.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0))
    if share != 1.0 and not partial:
        raise config.wrong("partial_rotary_factor", share, "1: heads of this family turn as a whole")
    return share


def _rotary(
    settings: Config,
    config: Config,
    head_size: int,
    base: float,
    share: float,
    longrope_names: tuple[str, ...],
) -> Rotary:
    dimensions = int(head_size * share)
    if not 2 <= dimensions <= head_size or dimensions % 2:
        raise UserError(f"{config.where}: {share:g} of a head of {head_size} cannot be rotated in pairs.")
    scaling = read_scaling(settings, config, dimensions, longrope_names)
    settings.pass_over(*SETTINGS)
    return Rotary(dimensions, base, scaling)

"""From a `config.json` to the options of the decoder, with nothing in it left aside unjudged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.families import BY_MODEL_TYPE
from chatterm.checkpoint.families.family import Family
from chatterm.checkpoint.families.refused import model_type
from chatterm.checkpoint.layout import Plan
from chatterm.checkpoint.unread import refuse_unread
from chatterm.errors import UserError


def family_of(values: Mapping[str, Any]) -> Family:
    """The family of a configuration that `refuse_config` let pass."""
    return BY_MODEL_TYPE[model_type(values)]


def read_json_config(values: Mapping[str, Any], where: str) -> Architecture:
    """The options of the decoder that a `config.json` describes; `where` names it in error messages.

    Raises:
        UserError: a value is missing, malformed or not supported, or a key that changes what is computed is
            none that this family reads.
    """
    family = family_of(values)
    config = _config(family, values, where)
    architecture = family.options(config)
    refuse_unread(config, architecture)
    return architecture


def refuse_biases(values: Mapping[str, Any], plan: Plan, where: str) -> None:
    """Raise the sentence for a bias in the file that the configuration says is not there.

    Raises:
        UserError: there is one; the reference would leave it aside, and whoever wrote it would not.
    """
    family = family_of(values)
    config = _config(family, values, where)
    for slot, tensor in _biases(plan):
        said = family.biases.get(slot, False)
        if said is True or (said and config.flag(said)):
            continue
        why = f"“{said}” is not true" if said else f"a {family.name} decoder has none"
        raise UserError(
            f"{where}: the file holds biases of the {slot.replace('_', ' ')} (“{tensor[:60]}”), but {why}; "
            "file and configuration do not belong together."
        )


def _biases(plan: Plan) -> Iterator[tuple[str, str]]:
    """Slots with a bias, and the tensor that holds it; those of the first block stand for all."""
    for name, part in plan.items():
        *layer, slot, kind = name.split(".")
        if kind == "bias" and layer in ([], ["0"]):
            yield slot, part.tensors[0]


def _config(family: Family, values: Mapping[str, Any], where: str) -> Config:
    return Config(values, where, {**family.defaults, **family.json_defaults}, family.keys)

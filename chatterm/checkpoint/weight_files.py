"""Which safetensors files of a folder are the checkpoint, where more than one set of them lies there.

The order is that of transformers 5.23 (`_get_resolved_checkpoint_files`): the file that config.json
names, then `model.safetensors`, then the shards of `model.safetensors.index.json`. An index that was left
beside a whole file is not read. What transformers does not take at all, all shards without an index or a
single file of another name, comes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatterm.checkpoint.files import inside, read_json
from chatterm.errors import UserError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
STATED = "transformers_weights"
"""The key of config.json that names the weights."""

MAX_FILES = 1000
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors", re.IGNORECASE)
_ADAPTER = "adapter_"
_MISTRAL = "consolidated"
"""Mistral's own format, which lies beside the same weights in the usual one."""


@dataclass(frozen=True)
class WeightSet:
    """Files that are one checkpoint together."""

    name: str  # the file or the index that stands for them
    files: tuple[str, ...]
    places: Mapping[str, str] = field(default_factory=dict)  # tensor → file, as far as an index says


def choose(folder: Path, names: Iterable[str], config: Mapping[str, Any]) -> WeightSet:
    """The set to load from a folder with these files.

    Raises:
        UserError: there is none, several without a sign which is meant, or the index cannot be read.
    """
    there = set(names)
    stated = config.get(STATED)
    if isinstance(stated, str):
        return _indexed(folder, stated) if stated.endswith(".json") else WeightSet(stated, (stated,))
    if SINGLE in there:
        return WeightSet(SINGLE, (SINGLE,))
    if INDEX in there:
        return _indexed(folder, INDEX)
    sets = loose_sets(there)
    if len(sets) > 1:
        sets = [one for one in sets if not one.name.startswith(_MISTRAL)] or sets
    if len(sets) == 1:
        return sets[0]
    if sets:
        raise UserError(
            f"{folder} holds {len(sets)} sets of weights, none of them called {SINGLE} or named by "
            f"{INDEX}: {', '.join(one.name[:60] for one in sets[:4])}; rename the one that is meant, or move "
            "the others away."
        )
    raise UserError(_why_none(folder, there))


def loose_sets(names: Iterable[str]) -> list[WeightSet]:
    """The sets that the names alone show: whole files, and shards of which none is missing."""
    there = sorted(name for name in names if name.lower().endswith(".safetensors"))
    shards: dict[tuple[str, int], list[str]] = {}
    sets = []
    for name in there:
        if name.startswith(_ADAPTER):
            continue
        if part := SHARD.fullmatch(name):
            shards.setdefault((part["stem"], int(part["count"])), []).append(name)
        else:
            sets.append(WeightSet(name, (name,)))
    for (_, count), files in shards.items():
        if len(files) == count:
            sets.append(WeightSet(files[0], tuple(files)))
    return sets


def rivals(chosen: WeightSet, names: Iterable[str]) -> list[WeightSet]:
    """Other sets beside the chosen one."""
    return [
        one
        for one in loose_sets(names)
        if not set(one.files) & set(chosen.files) and not one.name.startswith(_MISTRAL)
    ]


def _indexed(folder: Path, index: str) -> WeightSet:
    places = read_json(inside(folder, index)).get("weight_map")
    if (
        not isinstance(places, dict)
        or not places
        or not all(isinstance(name, str) for name in places.values())
    ):
        raise UserError(f"{folder / index} has no “weight_map”; it is damaged, fetch it again.")
    names = sorted(set(places.values()))
    if len(names) > MAX_FILES:
        raise UserError(
            f"{folder} names {len(names)} weight files, more than any real checkpoint; it is damaged."
        )
    missing = [name for name in names if not inside(folder, name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} of its {len(names)} weight files, first {missing[0][:80]}; "
            "fetch it again."
        )
    return WeightSet(index, tuple(names), places)


def _why_none(folder: Path, there: set[str]) -> str:
    shards = sorted(filter(None, map(SHARD.fullmatch, there)), key=lambda part: part[0])
    if shards:
        count = int(shards[0]["count"])
        return (
            f"{folder} holds {len(shards)} of {count} weight files, first {shards[0][0][:80]}, "
            f"and no {INDEX}; "
            "fetch it again."
        )
    if "adapter_config.json" in there:
        return (
            f"{folder} holds an adapter (LoRA), not a whole model; merge it into its base model and save "
            "that as safetensors."
        )
    if ggufs := sorted(name for name in there if name.lower().endswith(".gguf")):
        return f"{folder} holds GGUF files; pass one of them, such as {folder / ggufs[0]}."
    if any(name.startswith("pytorch_model") or name.endswith((".bin", ".pth")) for name in there):
        return (
            f"{folder} holds its weights only as a pickle (pytorch_model.bin), which can run any code when "
            "it is opened and is therefore refused; take a version with model.safetensors, or convert it "
            "where you trust it: in transformers, from_pretrained(folder) then save_pretrained(other_folder)."
        )
    return f"{folder} holds no {SINGLE}; a checkpoint folder needs config.json and safetensors files."

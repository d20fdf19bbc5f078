"""Opening a checkpoint: from a path to a description, by reading headers only.

Neither weights nor torch are touched; see `chatterm.checkpoint.tensors` for the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.blocks import holds_weights
from chatterm.checkpoint.context_length import scales_linearly
from chatterm.checkpoint.families import BY_GGUF_ARCHITECTURE
from chatterm.checkpoint.families.family import Names
from chatterm.checkpoint.families.refused import refuse_config, refuse_gguf
from chatterm.checkpoint.files import inside, read_json, read_json_if_there
from chatterm.checkpoint.gguf import GGUFFile, GGUFTensor, read_gguf
from chatterm.checkpoint.gguf_architecture import gguf_architecture
from chatterm.checkpoint.json_config import family_of, read_json_config, refuse_biases
from chatterm.checkpoint.layout import Plan, count_parameters, plan_layout
from chatterm.checkpoint.memory import STAYS_PACKED, TILE_BITS
from chatterm.checkpoint.pages import Pages
from chatterm.checkpoint.rules import GGUF_SUPPRESSED
from chatterm.checkpoint.safetensors_folder import SafeTensor, read_safetensors_folder
from chatterm.checkpoint.tying import GGUF_WITH_OUTPUT, is_tied
from chatterm.checkpoint.wrapped import unwrapped
from chatterm.errors import UserError
from chatterm.paths import expand

_SAFETENSORS_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_SAMPLING_PREFIX = "general.sampling."
NOTABLE_SHARE = 0.05
"""A block type that holds less than this share of the bytes is not named in `Checkpoint.quantisation`."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk, understood but not loaded."""

    path: Path  # as given: a GGUF file or a folder
    name: str
    format: Literal["gguf", "safetensors"]
    family: str
    architecture: Architecture
    config: Mapping[str, Any]  # config.json, or the GGUF metadata, as they are
    folder: Path | None  # None for GGUF
    gguf: GGUFFile | None
    stored: Mapping[str, GGUFTensor | SafeTensor]
    names: Names
    file_bytes: int
    generation_defaults: Mapping[str, Any]  # generation_config.json as it is, or GGUF's keys of that kind
    notices: tuple[str, ...] = ()  # sentences about what was decided while it was opened

    @cached_property
    def layout(self) -> Plan:
        """Where every parameter is. Checked when the checkpoint is opened."""
        return plan_layout(self.architecture, self.names, self.stored, str(self.path))

    @cached_property
    def parameters(self) -> int:
        """Number of parameters, tied matrices counted once."""
        return count_parameters(self.layout)

    @property
    def packed_bytes(self) -> int:
        """Of the weights, where they may stay as they are stored; float32 where no tile holds one of them."""
        tensors = [tensor for tensor in self.stored.values() if isinstance(tensor, GGUFTensor)]
        if not {tensor.type.name for tensor in tensors} <= STAYS_PACKED:
            return 4 * self.parameters
        return self.file_bytes + sum(_growth(tensor) for tensor in tensors)

    @cached_property
    def quantisation(self) -> str:
        """How the weights are stored: "Q4_1", "Q4_K_M", "Q5_0/Q4_K/Q6_K" (by bytes), "bfloat16"."""
        used = {tensor for part in self.layout.values() for tensor in part.tensors}
        sizes: Counter[str] = Counter()
        for name in used:
            tensor = self.stored[name]
            kind = (
                tensor.type.name
                if isinstance(tensor, GGUFTensor)
                else _SAFETENSORS_TYPES.get(tensor.type, tensor.type)
            )
            sizes[kind] += tensor.nbytes
        total = sizes.total()
        notable = [kind for kind, size in sizes.most_common() if size >= NOTABLE_SHARE * total]
        return _file_type(self.gguf, notable) or "/".join(notable)

    @cached_property
    def pages(self) -> Pages:
        """The memory in which the files lie mapped."""
        return Pages(tensor.data for tensor in self.stored.values())


def open_checkpoint(path: Path | str, *, vocabulary: bool = True) -> Checkpoint:
    """Understand the checkpoint at `path`: a GGUF file (any part of a split one) or a Hugging Face folder.

    Args:
        path: of the checkpoint.
        vocabulary: with False, a GGUF file's token lists stay unread, which makes looking at many files fast;
            no tokenizer can be made from the result.

    Raises:
        UserError: it is not there, damaged, or of a kind that does not load; the sentence says which.
    """
    path = expand(path)
    try:
        return _open(path, vocabulary=vocabulary)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open(path: Path, *, vocabulary: bool) -> Checkpoint:
    if path.is_dir():
        checkpoint = _open_folder(path, thorough=vocabulary)
    elif path.suffix.lower() in (".bin", ".pt", ".pth", ".pkl", ".ckpt"):
        raise UserError(
            f"{path} is a pickle, which can run any code when it is opened and is therefore refused; take "
            "the "
            "safetensors or GGUF version of the model."
        )
    elif path.suffix.lower() == ".safetensors":
        raise UserError(
            f"{path} holds weights only; pass its folder, {path.parent}, with config.json beside it."
        )
    elif path.is_file():
        checkpoint = _open_gguf(path, vocabulary=vocabulary)
    elif path.exists():
        raise UserError(
            f"{path} is neither a file nor a folder; pass a GGUF file or a folder with config.json and "
            "safetensors."
        )
    else:
        raise UserError(
            f"{path} does not exist; pass a GGUF file or a folder with config.json and safetensors."
        )
    _refuse_types(checkpoint)  # so that a checkpoint which opens also fits its family and can be decoded
    return checkpoint


def _refuse_types(checkpoint: Checkpoint) -> None:
    for name in {name for part in checkpoint.layout.values() for name in part.tensors}:
        tensor = checkpoint.stored[name]
        if isinstance(tensor, GGUFTensor) and not holds_weights(tensor.type):
            raise UserError(
                f"{checkpoint.path}: the weight “{name}” is stored as {tensor.type.name}, in "
                f"which no file keeps "
                "weights; it is damaged."
            )


def _growth(tensor: GGUFTensor) -> int:
    """Bytes that a tensor takes in the native operator's tiles beyond those in the file."""
    numbers = int(np.prod(tensor.shape, dtype=np.int64))
    return max(0, int(numbers * TILE_BITS.get(tensor.type.name, 0) / 8) - tensor.nbytes)


def _open_gguf(path: Path, *, vocabulary: bool) -> Checkpoint:
    file = read_gguf(path, arrays=vocabulary)
    refuse_gguf(file.metadata, str(path))
    kind = str(file.metadata["general.architecture"])
    family = BY_GGUF_ARCHITECTURE[kind]
    architecture = gguf_architecture(file, kind, family)
    stated = architecture.tied and kind not in GGUF_WITH_OUTPUT
    tied = is_tied(stated, family.gguf, file.tensors, thorough=vocabulary)
    return Checkpoint(
        path=path,
        name=_gguf_name(path),
        format="gguf",
        family=family.name,
        architecture=replace(architecture, tied=tied),
        config=file.metadata,
        folder=None,
        gguf=file,
        stored=file.tensors,
        names=family.gguf,
        file_bytes=file.file_bytes,
        generation_defaults={
            key: value
            for key, value in file.metadata.items()
            if key.startswith(_SAMPLING_PREFIX) or key == GGUF_SUPPRESSED
        },
    )


def _open_folder(path: Path, *, thorough: bool) -> Checkpoint:
    if not (path / "config.json").is_file():
        raise UserError(_no_config(path))
    config = read_json(inside(path, "config.json"))
    refuse_config(config, str(path))
    files = read_safetensors_folder(path, config)
    family = family_of(config)
    where = str(path / "config.json")
    tensors = unwrapped(files.tensors, family.safetensors)
    architecture = read_json_config(_with_length(config, path), where)
    tied = is_tied(architecture.tied, family.safetensors, tensors, thorough=thorough)
    notices = files.notices
    if architecture.tied and not tied:
        notices += (
            f"{path} says that the output matrix is the embedding, but holds another one, which is used.",
        )
    checkpoint = Checkpoint(
        path=path,
        name=folder_name(path),
        format="safetensors",
        family=family.name,
        architecture=replace(architecture, tied=tied),
        config=config,
        folder=path,
        gguf=None,
        stored=tensors,
        names=family.safetensors,
        file_bytes=files.file_bytes,
        generation_defaults=read_json_if_there(path, "generation_config.json"),
        notices=notices,
    )
    refuse_biases(config, checkpoint.layout, where)
    return checkpoint


def _with_length(config: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The configuration, with the length that only the tokenizer states where positions are stretched."""
    if not scales_linearly(config):
        return config
    tokenizer = read_json_if_there(folder, "tokenizer_config.json")
    return {"model_max_length": tokenizer.get("model_max_length"), **config}


def _no_config(path: Path) -> str:
    ggufs = sorted(file.name for file in path.glob("*.gguf"))
    if ggufs:
        return f"{path} holds GGUF files; pass one of them, such as {path / ggufs[0]}."
    return f"{path} has no config.json; a checkpoint folder needs config.json and safetensors files."


def _gguf_name(path: Path) -> str:
    stem = path.stem
    return stem.rsplit("-", 3)[0] if "-of-" in stem else stem


def folder_name(path: Path) -> str:
    """A name for a checkpoint folder: `organisation/model` in a Hugging Face cache, else the folder's own."""
    full = path.absolute()
    if full.parent.name == "snapshots" and full.parent.parent.name.startswith("models--"):
        return full.parent.parent.name.removeprefix("models--").replace("--", "/")
    return full.name


def _file_type(file: GGUFFile | None, notable: list[str]) -> str | None:
    """The mixture that `general.file_type` names ("Q4_K_M"), if most bytes really are of its type."""
    from gguf.constants import LlamaFileType

    stated = file.metadata.get("general.file_type") if file else None
    try:
        name = (
            LlamaFileType(stated).name.removeprefix("MOSTLY_").removeprefix("ALL_")
            if stated is not None
            else None
        )
    except ValueError:
        return None
    return name if name is not None and notable and f"{name}_".startswith(f"{notable[0]}_") else None

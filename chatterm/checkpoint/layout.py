"""Where each parameter of the decoder lies in the checkpoint's files, and in which rows.

The decoder knows one form: separate queries, keys and values, gate and up, `(out, in)` matrices, rotary pairs
half a head apart. A file may fuse, transpose or reorder. All of it except transposing moves whole rows, so it
applies to packed blocks as well as to plain numbers. No torch here: the plan is made from names and shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chatterm.checkpoint.architecture import Architecture
from chatterm.checkpoint.families.family import Names
from chatterm.checkpoint.missing import left_over, missing_tensor
from chatterm.errors import UserError

Rows = NDArray[np.int64]

_FUSED = {"queries": "qkv", "keys": "qkv", "values": "qkv", "gate": "gate_up", "up": "gate_up"}


class Stored(Protocol):
    """What the plan needs to know of a tensor in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Row-major, outermost first."""


@dataclass(frozen=True)
class Part:
    """One parameter: tensors of the file, joined along their rows, of which some rows in some order."""

    tensors: tuple[str, ...]
    shape: tuple[int, ...]  # of the parameter, after everything
    rows: Rows | None = None  # None = all, as they lie
    transposed: bool = False
    scale: str | None = None  # the tensor with one number by which all of them are multiplied


Plan = dict[str, Part]
"""Our name of a parameter ("embedding.weight", "3.queries.bias") → where it is."""


def plan_layout(architecture: Architecture, names: Names, stored: Mapping[str, Stored], where: str) -> Plan:
    """Find every parameter of the decoder among the tensors of a checkpoint.

    Biases are used where the file has them, in all layers or in none.

    Raises:
        UserError: a tensor is missing, has the wrong shape, or is there without a place in the decoder, which
            means that the numbers would silently be wrong.
    """
    planner = _Planner(architecture, names, stored, where)
    plan = planner.plan()
    planner.refuse_leftovers()
    return plan


def count_parameters(plan: Plan) -> int:
    """Trainable numbers of the model; tied matrices once."""
    return sum(int(np.prod(part.shape, dtype=np.int64)) for part in plan.values())


class _Planner:
    def __init__(
        self, architecture: Architecture, names: Names, stored: Mapping[str, Stored], where: str
    ) -> None:
        self.a = architecture
        self.names = names
        self.stored = stored
        self.where = where
        self.used: set[str] = set()

    def plan(self) -> Plan:
        plan: Plan = {}
        for layer in (None, *range(self.a.layers)):
            slots = self.outer_slots() if layer is None else self.layer_slots()
            for slot, shape in slots:
                plan |= self.parameters(slot, shape, layer)
        self.refuse_uneven_biases(plan)
        return plan

    def outer_slots(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        a = self.a
        yield "embedding", (a.vocabulary, a.width)
        if a.learned_positions:
            yield "positions", (a.context, a.width)
        yield "final_norm", (a.width,)
        if not a.tied:
            yield "unembedding", (a.vocabulary, a.width)

    def layer_slots(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        a = self.a
        if a.norms_before:
            yield "attention_norm", (a.width,)
        yield "queries", (a.query_width, a.width)
        yield "keys", (a.key_width, a.width)
        yield "values", (a.key_width, a.width)
        if a.query_key_norm:
            yield "query_norm", self.head_norm_shape(a.heads)
            yield "key_norm", self.head_norm_shape(a.kv_heads)
        yield "attention_output", (a.width, a.query_width)
        if a.norms_after:
            yield "attention_output_norm", (a.width,)
            yield "ffn_output_norm", (a.width,)
        if a.norms_before and not a.shared_norm:
            yield "ffn_norm", (a.width,)
        if a.gated:
            yield "gate", (a.ffn_width, a.width)
        yield "up", (a.ffn_width, a.width)
        yield "down", (a.width, a.ffn_width)

    def head_norm_shape(self, heads: int) -> tuple[int, ...]:
        size = self.a.head_size
        return {"head": (size,), "each_head": (heads, size), "vector": (heads * size,)}[
            self.a.query_key_norm or "head"
        ]

    def parameters(self, slot: str, shape: tuple[int, ...], layer: int | None) -> Plan:
        name = slot if layer is None else f"{layer}.{slot}"
        found = {f"{name}.weight": self.part(slot, "weight", shape, layer)}
        bias_shape = shape if slot.endswith("norm") else shape[:1]
        if slot not in ("embedding", "positions") and self.find(slot, "bias", layer):
            found[f"{name}.bias"] = self.part(slot, "bias", bias_shape, layer)
        return found

    def part(self, slot: str, kind: str, shape: tuple[int, ...], layer: int | None) -> Part:
        tensors = self.find(slot, kind, layer)
        if not tensors and slot == "embedding" and self.a.tied:
            tensors = self.find("unembedding", kind, layer)  # either of the two may be the one that is there
        if not tensors:
            raise self.missing(slot, kind, layer)
        self.used |= set(tensors)
        fused = self.is_fused(slot, tensors)
        transposed = kind == "weight" and (_FUSED[slot] if fused else slot) in self.names.transposed
        rows = self.rows(slot, fused)
        found = [self.stored[tensor].shape for tensor in tensors]
        self.check_shape(slot, tensors, self.expected(slot, shape, fused, transposed), found)
        scale = self.scale(slot, tensors[0], shape) if kind == "weight" else None
        return Part(tensors, shape, rows, transposed, scale)

    def scale(self, slot: str, tensor: str, shape: tuple[int, ...]) -> str | None:
        """The number beside a GGUF file's matrix, for which its blocks (NVFP4) have no room.

        As llama.cpp's `load_tensors`: of all that a vector is multiplied with, not of what is looked up.
        """
        name = f"{tensor.removesuffix('.weight')}.scale"
        looked_up = slot in ("embedding", "positions")
        if not self.names.scales or looked_up or len(shape) != 2 or name not in self.stored:
            return None
        self.used.add(name)
        self.check_shape("scale", (name,), (1,), [self.stored[name].shape])
        return name

    def find(self, slot: str, kind: str, layer: int | None) -> tuple[str, ...]:
        """The tensors that hold a parameter: its own, or the fused one; several where each head has one."""
        for candidate in (slot, _FUSED.get(slot)):
            patterns = self.names.slots.get(candidate or "", "").split("|") if candidate else []
            for pattern in filter(None, patterns):
                if tensors := self.existing(f"{pattern}.{kind}", slot, layer):
                    return tensors
        return ()

    def existing(self, pattern: str, slot: str, layer: int | None) -> tuple[str, ...]:
        heads = (self.a.heads if slot == "query_norm" else self.a.kv_heads) if "{head}" in pattern else 1
        names = [pattern.replace("{head}", str(head)).replace("{}", str(layer)) for head in range(heads)]
        for prefix in ("", self.names.prefix):
            tensors = tuple(name.removeprefix(prefix) for name in names)
            if all(tensor in self.stored for tensor in tensors):
                return tensors
        return ()

    def is_fused(self, slot: str, tensors: tuple[str, ...]) -> bool:
        fused = self.names.slots.get(_FUSED.get(slot, ""), "")
        pattern = re.escape(fused.removeprefix(self.names.prefix)).replace(r"\{\}", r"\d+")
        return bool(fused) and re.search(rf"(^|\.){pattern}\.(weight|bias)$", tensors[0]) is not None

    def rows(self, slot: str, fused: bool) -> Rows | None:
        rows = self.fused_rows(slot) if fused else None
        if self.names.adjacent_pairs and slot in ("queries", "keys", "query_norm", "key_norm"):
            heads = self.a.heads if slot in ("queries", "query_norm") else self.a.kv_heads
            if slot.endswith("norm") and self.a.query_key_norm == "head":
                heads = 1
            rows = self.pairs_apart(np.arange(heads * self.a.head_size) if rows is None else rows, heads)
        return rows

    def fused_rows(self, slot: str) -> Rows:
        a = self.a
        if slot in ("gate", "up"):
            return np.arange(a.ffn_width) + (a.ffn_width if slot == "up" else 0)
        if self.names.qkv_rows == "stacked":
            start = {"queries": 0, "keys": a.query_width, "values": a.query_width + a.key_width}[slot]
            return start + np.arange(a.query_width if slot == "queries" else a.key_width)
        group = a.heads // a.kv_heads
        rows = np.arange((a.heads + 2 * a.kv_heads) * a.head_size).reshape(a.kv_heads, group + 2, a.head_size)
        chosen = {
            "queries": slice(0, group),
            "keys": slice(group, group + 1),
            "values": slice(group + 1, None),
        }
        return rows[:, chosen[slot]].reshape(-1)

    def pairs_apart(self, rows: Rows, heads: int) -> Rows:
        """Reorder the rotated rows of each head from pairs (0,1), (2,3) … to pairs half a head apart."""
        rotary = next((layer.rotary for layer in self.a.layer_options if layer.rotary), None)
        turned = self.a.head_size if rotary is None else rotary.dimensions
        by_head = rows.reshape(heads, self.a.head_size)
        halves = by_head[:, :turned].reshape(heads, turned // 2, 2).swapaxes(1, 2).reshape(heads, turned)
        return np.concatenate([halves, by_head[:, turned:]], axis=1).reshape(-1)

    def expected(self, slot: str, shape: tuple[int, ...], fused: bool, transposed: bool) -> tuple[int, ...]:
        """The shape in the file."""
        if fused:
            rows = (
                2 * self.a.ffn_width if slot in ("gate", "up") else self.a.query_width + 2 * self.a.key_width
            )
            shape = (rows, *shape[1:])
        return shape[::-1] if transposed else shape

    def check_shape(
        self, slot: str, tensors: tuple[str, ...], expected: tuple[int, ...], found: list[tuple[int, ...]]
    ) -> None:
        whole = found[0] if len(found) == 1 else (len(found), *found[0])
        one_norm = len(found) == 1 and "norm" in slot
        flat = (len(expected) == 1 or one_norm) and _is_flat(whole, expected)
        if (whole != expected and not flat) or any(shape != found[0] for shape in found):
            raise UserError(
                f"{self.where}: the tensor “{tensors[0]}” has the shape {_times(whole)} where the "
                "configuration "
                f"asks for {_times(expected)}; file and configuration do not belong together."
            )

    def missing(self, slot: str, kind: str, layer: int | None) -> UserError:
        pattern = self.names.slots.get(slot) or self.names.slots.get(_FUSED.get(slot, ""), slot)
        name = pattern.split("|")[0].replace("{}", str(layer)).replace("{head}", "0")
        known = any(self.find(known, "weight", 0) for known in ("final_norm", "attention_output", "down"))
        return missing_tensor(self.where, f"{name}.{kind}", self.a.family, slot if known else "", self.stored)

    def refuse_uneven_biases(self, plan: Plan) -> None:
        for slot in {name.split(".")[1] for name in plan if name.count(".") == 2 and name.endswith(".bias")}:
            for layer in range(self.a.layers):
                if f"{layer}.{slot}.bias" not in plan:
                    raise self.missing(slot, "bias", layer)

    def refuse_leftovers(self) -> None:
        ignored = re.compile("|".join(self.names.ignored) or r"(?!)")
        tied = (
            {f"{name}.weight" for name in self.names.slots.get("unembedding", "").split("|")}
            if self.a.tied
            else set()
        )
        known = self.used | tied
        left = [name for name in self.stored if name not in known and not ignored.fullmatch(name)]
        if left:
            raise left_over(self.where, self.a.family, left)


def _is_flat(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether both are the same vector, one of them with dimensions of 1 or cut into heads."""
    vector = len(found) == 1 or len(expected) == 1
    return vector and int(np.prod(found, dtype=np.int64)) == int(np.prod(expected, dtype=np.int64))


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))

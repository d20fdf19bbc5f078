"""How much memory a checkpoint takes to run, and how much there is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

CACHE_TOKENS = 4096
PREFILL_TOKENS = 512
RUNTIME_BYTES = 300 << 20
"""What the engine process takes before any model is loaded: interpreter, torch, tokenizer."""

STAYS_PACKED = frozenset(
    {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"}
    | {"Q1_0", "Q2_0", "MXFP4", "NVFP4"}
)
"""Types of GGUF that the native operator's tiles hold; a file with another one is run in float32."""

TILE_BITS = {"Q1_0": 5.0, "Q2_0": 5.0, "Q4_0": 5.0, "Q5_0": 6.0, "MXFP4": 6.0, "NVFP4": 6.0}
"""Bits that a number takes in a tile, where that is more than on disk."""

_FLOAT = 4


class Shape(Protocol):
    """What the estimate needs to know of an architecture; see `Architecture`."""

    @property
    def width(self) -> int:
        """Of the residual stream."""

    @property
    def heads(self) -> int:
        """Of attention."""

    @property
    def query_width(self) -> int:
        """Elements of all heads' queries together."""

    @property
    def key_width(self) -> int:
        """Elements of all heads' keys together."""

    @property
    def ffn_width(self) -> int:
        """Activations of the feed-forward layer."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""

    @property
    def context(self) -> int:
        """Tokens that it was trained for."""

    @property
    def tied(self) -> bool:
        """Whether the unembedding is the embedding."""

    def cache_bytes(self, tokens: int, bytes_per_element: int = 4) -> int:
        """Memory of the key/value cache."""


class Sized(Protocol):
    """What the estimate needs to know of a checkpoint."""

    @property
    def architecture(self) -> Shape:
        """Its shapes."""

    @property
    def parameters(self) -> int:
        """Number of its weights."""

    @property
    def packed_bytes(self) -> int:
        """What they take where they may stay as they are stored."""


def memory_needed(checkpoint: Sized, packed: bool = False) -> int:
    """Estimated bytes to run a checkpoint: weights, key/value cache for 4096 tokens, working space, runtime.

    `packed` weights stay as they are stored, if they can; else they are float32. The cache is taken as
    float32: whether half of that is enough is known once the checkpoint has been tried.
    """
    weights = checkpoint.packed_bytes if packed else checkpoint.parameters * _FLOAT
    return memory_around(weights, checkpoint.architecture)


def step_bytes(checkpoint: Sized, packed: bool = False) -> int:
    """Estimated bytes of weights that decoding one token reads.

    All of them, but for an embedding that is not the unembedding too: of that a step reads one row.
    """
    shape = checkpoint.architecture
    weights = checkpoint.packed_bytes if packed else checkpoint.parameters * _FLOAT
    unread = 0 if shape.tied else shape.vocabulary * shape.width
    return int(weights * (1 - min(1.0, unread / max(checkpoint.parameters, 1))))


def memory_around(weights: int, shape: Shape) -> int:
    """Estimated bytes to run `weights` bytes of weights in that shape.

    The working space is that of one block reading 512 tokens of a prompt in float32: hidden states, queries,
    keys, values, feed-forward activations, attention scores over the whole cache; and one row of logits.
    """
    tokens = min(CACHE_TOKENS, shape.context)
    return weights + shape.cache_bytes(tokens, _FLOAT) + memory_working(shape, tokens) + RUNTIME_BYTES


def memory_working(shape: Shape, tokens: int) -> int:
    """Bytes that one block takes while 512 tokens of a prompt are read over `tokens` cached ones."""
    rows = min(PREFILL_TOKENS, tokens)
    per_row = 4 * shape.width + 2 * shape.query_width + 2 * shape.key_width + 3 * shape.ffn_width
    return _FLOAT * (rows * (per_row + shape.heads * tokens) + shape.vocabulary)


def available_memory(control_group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that a new process can take without swapping, within the limits of a container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = _number(control_group / "memory.max"), _number(control_group / "memory.current")
    if limit is None or used is None:
        return free
    return max(0, min(free, limit - used + _reclaimable(control_group)))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None  # no control groups of version 2 here, or "max": no limit


def _reclaimable(control_group: Path) -> int:
    """File pages of the group that the kernel gives back when memory is asked for."""
    try:
        lines = (control_group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))

"""What one decoder is made of: the options of the single decoder that serves every family.

Plain immutable data, no torch: discovery reads it from headers, `chatterm.model` builds from it. A *block* is
attention and feed-forward with their norms; *heads* share *key/value heads* in groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NormKind = Literal["rms", "layer"]
Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "relu_squared"]
QueryKeyNorm = Literal["head", "each_head", "vector"]
"""Norm of queries and keys: one weight for all heads, one per head, or over the whole vector of all heads."""


@dataclass(frozen=True)
class LinearScaling:
    """Every frequency divided by `factor` (position interpolation, arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True)
class DynamicScaling:
    """The base grows with the length once it exceeds `trained` ("dynamic NTK")."""

    factor: float
    trained: int  # positions


@dataclass(frozen=True)
class Llama3Scaling:
    """Low frequencies divided by `factor`, high ones left, a ramp between (Llama 3.1)."""

    factor: float
    low_frequency: float
    high_frequency: float
    trained: int


@dataclass(frozen=True)
class YarnScaling:
    """YaRN, arXiv:2309.00071: a ramp between interpolated and original frequencies, and sharper attention."""

    factor: float
    trained: int
    attention_factor: float
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True)
class LongRopeScaling:
    """LongRoPE, arXiv:2402.13753: one divisor per frequency, another set beyond the trained length."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    trained: int
    attention_factor: float


@dataclass(frozen=True)
class FactorScaling:
    """One divisor per frequency, as GGUF stores Llama 3.1's scaling (`rope_freqs`)."""

    factors: tuple[float, ...]


Scaling = LinearScaling | DynamicScaling | Llama3Scaling | YarnScaling | LongRopeScaling | FactorScaling


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding (arXiv:2104.09864) over the first `dimensions` components of each head."""

    dimensions: int
    base: float
    scaling: Scaling | None = None


@dataclass(frozen=True)
class LayerOptions:
    """What may differ from one block to the next."""

    rotary: Rotary | None  # None: no position information in this block
    window: int | None  # how many positions back a query sees, itself included; None = all
    attention_scale: float  # scores are multiplied by it, usually 1/√head_size


@dataclass(frozen=True)
class Architecture:
    """The options of one decoder. Sizes count elements; `context` counts tokens."""

    family: str
    width: int
    heads: int
    kv_heads: int
    head_size: int
    ffn_width: int
    vocabulary: int
    context: int
    layer_options: tuple[LayerOptions, ...]
    norm: NormKind = "rms"
    norm_eps: float = 1e-6
    norm_offset: float = 0.0  # added to the stored norm weights; Gemma stores w and multiplies by 1 + w
    norms_before: bool = True  # of attention and feed-forward
    norms_after: bool = False
    parallel: bool = False  # attention and feed-forward both read the block's input
    shared_norm: bool = False  # parallel, with one norm for both
    gated: bool = True
    activation: Activation = "silu"
    query_key_norm: QueryKeyNorm | None = None
    learned_positions: bool = False
    attention_soft_cap: float | None = None  # scores s become cap · tanh(s / cap)
    logit_soft_cap: float | None = None
    embedding_scale: float = 1.0
    residual_scale: float = 1.0  # multiplies what each branch adds to the residual stream
    logit_scale: float = 1.0
    tied: bool = False  # the unembedding is the embedding
    extended_from: int | None = None  # tokens that are stated, where rotary scaling makes `context` longer

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return len(self.layer_options)

    @property
    def query_width(self) -> int:
        """Elements of all heads' queries together."""
        return self.heads * self.head_size

    @property
    def key_width(self) -> int:
        """Elements of all heads' keys together; values have as many."""
        return self.kv_heads * self.head_size

    def cache_bytes(self, tokens: int, bytes_per_element: int = 4) -> int:
        """Memory of the key/value cache for that many tokens."""
        return 2 * self.layers * self.key_width * tokens * bytes_per_element

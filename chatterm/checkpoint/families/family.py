"""What describes one family of models, and the common ground that most families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chatterm.checkpoint.architecture import Activation, Architecture, LayerOptions, Rotary
from chatterm.checkpoint.config import Config
from chatterm.checkpoint.context_length import MAX_CONTEXT, context_length
from chatterm.checkpoint.rotary_config import read_rotary

MAX_LAYERS = 1024
MAX_HEADS = 4096
MAX_WIDTH = 1 << 18
MAX_VOCABULARY = 1 << 24

RMS_NORM = {"norm_eps": ("rms_norm_eps",)}
LAYER_NORM = {"norm_eps": ("layer_norm_eps",)}
ATTENTION = ("queries", "keys", "values", "attention_output")
FEED_FORWARD = ("gate", "up", "down")
NORMS = ("attention_norm", "ffn_norm", "final_norm")
ATTENTION_BIAS: dict[str, str | bool] = dict.fromkeys(ATTENTION, "attention_bias")
BOTH_BIASES = ATTENTION_BIAS | dict.fromkeys(FEED_FORWARD, "mlp_bias")

ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu_squared",
}
"""Names of activations in `config.json` → ours."""


@dataclass(frozen=True)
class Names:
    """Where the decoder's parameters lie in a file.

    `slots` maps our name of a parameter group to the file's, without `.weight` or `.bias`; `{}` stands for
    the layer number and `{head}` for the head where each has a tensor of its own; `a|b` means a if the file
    has it, else b. A group that no file has is left out. `qkv` and `gate_up` are fused matrices.
    """

    slots: Mapping[str, str]
    prefix: str = ""  # some files leave it out
    qkv_rows: Literal["stacked", "grouped"] = "stacked"
    """Rows of a fused `qkv`: all queries, keys, values; or per key/value head its queries, key, value."""
    adjacent_pairs: bool = False  # rotary pairs are neighbouring rows, not half a head apart
    transposed: frozenset[str] = frozenset()  # slots stored (in, out)
    scales: bool = False  # a matrix may have a number beside it, NAME.scale, by which it is multiplied
    ignored: tuple[str, ...] = ()  # regular expressions of tensors that are no parameters


@dataclass(frozen=True)
class Family:
    """One family: how to recognise it, read its options, and find its tensors."""

    name: str
    model_types: tuple[str, ...]  # `model_type` in config.json
    gguf_architectures: tuple[str, ...]  # `general.architecture`
    options: Callable[[Config], Architecture]
    safetensors: Names
    gguf: Names
    defaults: Mapping[str, Any] = field(default_factory=dict)  # for keys that a file leaves out
    json_defaults: Mapping[str, Any] = field(default_factory=dict)  # the same, for config.json alone
    gguf_defaults: Mapping[str, Any] = field(default_factory=dict)  # for what GGUF does not record
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our key → its names in this family's `config.json`, the one that counts first; ours where left out.
    With no name at all the family has no such key."""
    biases: Mapping[str, str | bool] = field(default_factory=dict)
    """Slot → whether it has a bias, or the key of `config.json` that says so; none where left out."""


def common(config: Config, family: str, **changes: Any) -> Architecture:
    """The options that most families share; `changes` are the fields in which this one differs.

    Besides the fields of `Architecture`, `changes` may hold `rotary`, `window` and `attention_scale`, which
    are then the same in every layer.

    Raises:
        UserError: a size is missing, malformed or out of bounds.
    """
    width = config.integer("hidden_size", most=MAX_WIDTH)
    heads = config.integer("num_attention_heads", most=MAX_HEADS)
    kv_heads = changes.get("kv_heads") or _kv_heads(config, heads)
    head_size = config.integer("head_dim", max(width // heads, 1), most=MAX_WIDTH)
    layers = config.integer("num_hidden_layers", most=MAX_LAYERS)
    rotary = changes["rotary"] if "rotary" in changes else read_rotary(config, head_size)
    layer = LayerOptions(rotary, changes.get("window"), changes.get("attention_scale", head_size**-0.5))
    fields: dict[str, Any] = {
        "family": family,
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_size": head_size,
        "ffn_width": changes.get("ffn_width") or read_ffn_width(config),
        "vocabulary": config.integer("vocab_size", most=MAX_VOCABULARY),
        "layer_options": (layer,) * layers,
        "norm_eps": config.number("norm_eps", 1e-6, least=0.0, most=1.0),
        "activation": read_activation(config, "silu"),
        "tied": config.flag("tie_word_embeddings"),
    }
    layer_wide = ("rotary", "window", "attention_scale")
    fields |= {name: value for name, value in changes.items() if name not in (*layer_wide, "kv_heads")}
    fields.setdefault("context", context_length(config, fields["layer_options"]))
    stated = config.integer("max_position_embeddings", most=MAX_CONTEXT)
    return Architecture(**fields, extended_from=stated if fields["context"] > stated else None)


def _kv_heads(config: Config, heads: int) -> int:
    if config.is_null("num_key_value_heads"):  # an explicit null means as many
        return heads
    kv_heads = config.integer("num_key_value_heads", heads, most=MAX_HEADS)
    if heads % kv_heads:
        raise config.wrong("num_key_value_heads", kv_heads, f"a divisor of the {heads} attention heads")
    return kv_heads


def read_ffn_width(config: Config, default: int | None = None) -> int:
    """Elements between the feed-forward matrices."""
    return config.integer("intermediate_size", default, most=MAX_WIDTH * 8)


def head_size_of(config: Config) -> int:
    """Elements of one head, stated or the width divided by the heads."""
    width = config.integer("hidden_size", most=MAX_WIDTH)
    return config.integer("head_dim", max(width // config.integer("num_attention_heads", most=MAX_HEADS), 1))


def read_activation(config: Config, default: str) -> Activation:
    """The activation between the feed-forward matrices.

    Raises:
        UserError: it is one that the decoder does not have.
    """
    name = config.text("hidden_act", default)
    if name not in ACTIVATIONS:
        raise config.wrong("hidden_act", name, f"one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def layer_kinds(config: Config, layers: int, is_sliding: Callable[[int], bool]) -> tuple[bool, ...]:
    """For each layer whether it is windowed: from `layer_types` if stated, else by the family's rule.

    Raises:
        UserError: `layer_types` has a wrong length or an unknown kind.
    """
    kinds = config.strings("layer_types")
    if kinds is None:
        return tuple(is_sliding(layer) for layer in range(layers))
    kinds = tuple("full_attention" if kind == "attention" else kind for kind in kinds)  # its older name
    if len(kinds) != layers or not set(kinds) <= {"sliding_attention", "full_attention"}:
        raise config.wrong(
            "layer_types", list(kinds), f"{layers} times “sliding_attention” or “full_attention”"
        )
    return tuple(kind == "sliding_attention" for kind in kinds)


def windowed_layers(architecture: Architecture, windowed: tuple[bool, ...], window: int) -> Architecture:
    """`architecture` with a window in the layers that are marked, and none in the others."""
    layers = zip(architecture.layer_options, windowed, strict=True)
    return replace(
        architecture,
        layer_options=tuple(replace(layer, window=window if short else None) for layer, short in layers),
    )


def partial_rotary(config: Config, **options: Any) -> Rotary:
    """The rotary embedding of a family that rotates a share of each head."""
    return read_rotary(config, head_size_of(config), partial=True, **options)

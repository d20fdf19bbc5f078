"""Tensor names that several families share."""

from __future__ import annotations

from collections.abc import Mapping

from chatterm.checkpoint.families.family import Names

LLAMA_SLOTS: Mapping[str, str] = {
    "embedding": "model.embed_tokens",
    "final_norm": "model.norm",
    "unembedding": "lm_head",
    "attention_norm": "model.layers.{}.input_layernorm",
    "queries": "model.layers.{}.self_attn.q_proj",
    "keys": "model.layers.{}.self_attn.k_proj",
    "values": "model.layers.{}.self_attn.v_proj",
    "query_norm": "model.layers.{}.self_attn.q_norm",
    "key_norm": "model.layers.{}.self_attn.k_norm",
    "attention_output": "model.layers.{}.self_attn.o_proj",
    "ffn_norm": "model.layers.{}.post_attention_layernorm",
    "gate": "model.layers.{}.mlp.gate_proj",
    "up": "model.layers.{}.mlp.up_proj",
    "down": "model.layers.{}.mlp.down_proj",
}
GGUF_SLOTS: Mapping[str, str] = {
    "embedding": "token_embd",
    "positions": "position_embd",
    "final_norm": "output_norm",
    "unembedding": "output",
    "attention_norm": "blk.{}.attn_norm",
    "queries": "blk.{}.attn_q",
    "keys": "blk.{}.attn_k",
    "values": "blk.{}.attn_v",
    "qkv": "blk.{}.attn_qkv",
    "query_norm": "blk.{}.attn_q_norm",
    "key_norm": "blk.{}.attn_k_norm",
    "attention_output": "blk.{}.attn_output",
    "attention_output_norm": "blk.{}.post_attention_norm",
    "ffn_norm": "blk.{}.ffn_norm",
    "gate": "blk.{}.ffn_gate",
    "up": "blk.{}.ffn_up",
    "down": "blk.{}.ffn_down",
    "ffn_output_norm": "blk.{}.post_ffw_norm",
}
_NO_PARAMETERS = (
    r".*rotary_emb\.inv_freq",
    r".*\.masked_bias",
    r"v_head\..*",  # a judge of texts that training with TRL leaves beside the model
)
_GGUF_NO_PARAMETERS = (
    r"(v|a|mm)\..*",  # the image or audio side that some files carry along; text does not pass through it
    r"rope_freqs\.weight",
    r"rope_factors_(long|short)\.weight",
    r"blk\.\d+\.attn_rot_embd\.weight",
    r".*\.input_scale",  # for who rounds activations to four bits, which nobody does here
)


def with_slots(base: Mapping[str, str], **changes: str) -> dict[str, str]:
    """`base` with some slots elsewhere; an empty name takes a slot away."""
    return {slot: name for slot, name in {**base, **changes}.items() if name}


def safetensors_names(slots: Mapping[str, str], prefix: str = "model.", **options: object) -> Names:
    """Names in a safetensors folder."""
    ignored = (*_NO_PARAMETERS, *options.pop("ignored", ()))  # type: ignore[misc]
    return Names(slots, prefix, ignored=ignored, **options)  # type: ignore[arg-type]


def gguf_names(*, adjacent_pairs: bool = False, **changes: str) -> Names:
    """llama.cpp's names, with some slots elsewhere."""
    return Names(
        with_slots(GGUF_SLOTS, **changes),
        adjacent_pairs=adjacent_pairs,
        scales=True,
        ignored=_GGUF_NO_PARAMETERS,
    )


LLAMA = safetensors_names(LLAMA_SLOTS)
GGUF = gguf_names()
GGUF_ADJACENT = gguf_names(adjacent_pairs=True)
"""For the families whose query and key rows llama.cpp's converter permutes to adjacent rotary pairs."""

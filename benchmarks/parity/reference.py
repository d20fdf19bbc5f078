"""Tiny random checkpoints made, saved and run by Hugging Face transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.parity.cases import SIZES, Case

TEXT_LENGTH = 64
_UNNAMED: dict[str, tuple[str, ...]] = {
    "gpt2": ("num_key_value_heads", "intermediate_size"),
    "gpt_neox": ("num_key_value_heads",),
    "falcon": ("num_key_value_heads", "intermediate_size"),
}
"""Keys of the common sizes that a family does not have."""

_NORM_EPS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")


def make_model(case: Case, seed: int = 0) -> nn.Module:
    """The random model of a case, float32, with weights large enough that every part matters."""
    from transformers import AutoConfig, AutoModelForCausalLM

    options = options_of(case.family, case.config)
    if case.rope is not None:
        options["rope_parameters"] = {"rope_theta": 10_000.0, **case.rope}
    config = AutoConfig.for_model(case.family, **options)
    for name in _NORM_EPS:
        if hasattr(config, name):
            setattr(config, name, 3e-3)  # large enough to matter
    torch.manual_seed(seed)
    model: nn.Module = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    fill(model)
    return model


def options_of(family: str, config: dict[str, Any]) -> dict[str, Any]:
    """The tiny sizes that a family has, and `config` beside them."""
    return {key: value for key, value in SIZES.items() if key not in _UNNAMED.get(family, ())} | config


def fill(model: nn.Module) -> None:
    """Random weights, large enough that every part of the model shows in the numbers."""
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            if parameter.dim() == 1 or parameter.shape[0] in (2, 4):  # norms and biases
                parameter.add_(0.3 * noise)
            else:
                parameter.copy_(noise * 1.2 / parameter.shape[-1] ** 0.5)


def save(case: Case, model: nn.Module, folder: Path) -> None:
    """Write the checkpoint in the way that the case asks for."""
    stored = model.to(getattr(torch, case.dtype))
    stored.save_pretrained(folder, max_shard_size="40KB" if case.sharded else "1GB")
    if case.stray or case.bare_names:
        _rewrite_weights(case, folder)
    if case.style == "old":
        path = folder / "config.json"
        path.write_text(json.dumps(to_old_style(json.loads(path.read_text("utf-8")))), "utf-8")


def load(folder: Path) -> nn.Module:
    """The checkpoint as transformers itself reads it back, in float32."""
    from transformers import AutoModelForCausalLM

    model: nn.Module = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval()


def text(vocabulary: int = 128) -> Tensor:
    """The 64 tokens that all cases read."""
    return torch.randint(3, vocabulary, (TEXT_LENGTH,), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def logprobs(model: nn.Module, tokens: Tensor) -> Tensor:
    """Log-probabilities after every token, `(T, vocabulary)`, of one uncached pass."""
    return model(tokens[None], use_cache=False).logits[0].float().log_softmax(-1)


@torch.no_grad()
def decoded_logprobs(case: Case, model: nn.Module, tokens: Tensor) -> Tensor:
    """The same token by token.

    With LongRoPE every prefix is read anew, as transformers' `generate` does when a text outgrows the trained
    length. With dynamic scaling its cache is used, because that is what gives each key its rotation.
    """
    kind = (case.rope or {}).get("rope_type")
    if kind == "longrope":
        return torch.stack([logprobs(model, tokens[: end + 1])[-1] for end in range(len(tokens))])
    if kind != "dynamic":
        return logprobs(model, tokens)
    cache, rows = None, []
    for token in tokens:
        out = model(token.view(1, 1), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        rows.append(out.logits[0, -1].float().log_softmax(-1))
    return torch.stack(rows)


def to_old_style(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json as it was written before `rope_parameters`."""
    old = dict(config)
    rope = old.pop("rope_parameters", None) or {}
    if old["model_type"] == "olmo3":
        rope = rope["full_attention"]
    elif "full_attention" in rope:
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    theta, share, kind = (
        rope.get("rope_theta"),
        rope.get("partial_rotary_factor"),
        rope.get("rope_type", "default"),
    )
    neox = old["model_type"] == "gpt_neox"
    if theta is not None:
        old["rotary_emb_base" if neox else "rope_theta"] = theta
    if share is not None:
        old["rotary_pct" if neox else "partial_rotary_factor"] = share
    beside = ("rope_theta", "partial_rotary_factor", "rope_type")
    # both names were in use
    scaling = {
        "rope_type" if old["model_type"] == "gemma3_text" else "type": kind,
        **{key: value for key, value in rope.items() if key not in beside},
    }
    if old["model_type"] == "phi3":
        scaling.pop("original_max_position_embeddings", None)
    old["rope_scaling"] = None if kind == "default" else scaling
    if old["model_type"] == "granitemoehybrid":
        old["layer_types"] = ["attention" for _ in old["layer_types"]]  # the name before transformers 5
    elif old.pop("layer_types", None) and old["model_type"] in ("gemma3_text", "cohere2"):
        old["sliding_window_pattern"] = 6 if old["model_type"] == "gemma3_text" else 4
    return old


def _rewrite_weights(case: Case, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    if case.bare_names:
        weights = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
    if case.stray:
        weights |= _stray_buffers(case)
    save_file(weights, path, metadata={"format": "pt"})


def _stray_buffers(case: Case) -> dict[str, Tensor]:
    triangle = torch.ones(1, 1, 8, 8).tril()
    return {
        "gpt2": {"h.0.attn.bias": triangle, "h.1.attn.masked_bias": torch.tensor(-1e4)},
        "gpt_neox": {
            "gpt_neox.layers.0.attention.bias": triangle.bool(),
            "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
            "gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2),
        },
        "llama": {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)},
    }[case.family]

"""Small random checkpoints of every family whose attention is sharp: large constant parts of keys."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES, Case

ONE_PER_FAMILY: dict[str, Case] = {case.family: case for case in reversed(CASES) if case.gguf_type == "F32"}
"""The first case of each family."""

KEY_BIAS, QUERY_BIAS = 60.0, 10.0
"""Standard deviations; Qwen2.5-0.5B has biases of keys up to several hundred."""
LARGER = 4.0
"""Factor of what makes queries and keys, in families without biases."""

WITH_BIASES = {
    "llama": {"attention_bias": True},
    "stablelm": {"use_qkv_bias": True},
    "cohere": {"attention_bias": True},
}
"""What gives biases to families that can have them."""


def make(folder: Path) -> dict[str, Path]:
    """Two checkpoints of every family, by what they are called: an ordinary one and a sharp one."""
    made = {}
    for family, case in ONE_PER_FAMILY.items():
        made[family] = save(case, folder / family, sharp=False)
        made[f"{family}, sharp"] = save(case, folder / f"{family}-sharp", sharp=True)
    return made


def save(case: Case, folder: Path, *, sharp: bool) -> Path:
    """Write the checkpoint of a case."""
    if sharp:
        case = Case(case.family, case.what, case.config | WITH_BIASES.get(case.family, {}), rope=case.rope)
    model = reference.make_model(case)
    if sharp:
        sharpen(model)
    reference.save(case, model, folder)
    return folder


@torch.no_grad()
def sharpen(model: nn.Module) -> None:
    """Large biases of keys and queries where there are biases, else larger weights or norms."""
    torch.manual_seed(5)
    parameters = dict(model.named_parameters())
    biases = [name for name in parameters if name.endswith(("q_proj.bias", "k_proj.bias"))]
    for name in biases:
        parameters[name].normal_(0, KEY_BIAS if "k_proj" in name else QUERY_BIAS)
    fused = [name for name in parameters if name.endswith(("c_attn.bias", "query_key_value.bias"))]
    for name in fused:
        _sharpen_fused(parameters[name], interleaved="query_key_value" in name, config=model.config)
    if biases or fused:
        return
    norms = [name for name in parameters if name.endswith(("q_norm.weight", "k_norm.weight"))]
    names = norms or [
        name
        for name in parameters
        if name.endswith(("q_proj.weight", "k_proj.weight", "qkv_proj.weight", "query_key_value.weight"))
    ]
    for name in names:
        parameters[name].mul_(LARGER)


def _sharpen_fused(bias: nn.Parameter, *, interleaved: bool, config: object) -> None:
    """GPT-2: all queries, keys, values; GPT-NeoX: those of each head together."""
    heads = getattr(config, "num_attention_heads")  # noqa: B009 - no type says that a config has it
    parts = bias.view(heads, 3, -1).transpose(0, 1) if interleaved else bias.view(3, heads, -1)
    parts[0].normal_(0, QUERY_BIAS)
    parts[1].normal_(0, KEY_BIAS)

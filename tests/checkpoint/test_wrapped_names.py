"""Names that training tools made longer are the same tensors; other names are told as what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tensors import read_dense
from chatterm.errors import UserError
from tests.checkpoint.written import CONFIG, weights, write

Arrays = dict[str, np.ndarray]
UNTIED = CONFIG | {"tie_word_embeddings": False}
HEAD = {"lm_head.weight": np.ones((32, 16), np.float32)}
ONE = np.ones((2, 16), np.float32)
QUERY = "model.layers.0.self_attn.q_proj"


def within(module: str, wrapper: str) -> Callable[[str], str]:
    return lambda name: name.replace(f"{module}.", f"{module}.{wrapper}.")


def behind(prefix: str) -> Callable[[str], str]:
    return lambda name: prefix + name


def in_text_model(name: str) -> str:
    return name.replace("model.", "model.language_model.", 1)


PREFIXES = (
    *("_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.", "base_model.model."),
    *("language_model.", "model.language_model.", "model.", "model.model.", "_forward_module.module."),
    *("text_model.", "llm.", "policy.", "actor.module."),
)
LONGER = {prefix: behind(prefix) for prefix in PREFIXES} | {
    "of some layers": within("layers.0", "_orig_mod"),
    "FSDP": lambda name: within("model", "_fsdp_wrapped_module")(
        within("layers.1", "_fsdp_wrapped_module")(name)
    ),
    "checkpointing": within("layers.0", "_checkpoint_wrapped_module"),
    "a text model": in_text_model,
    "an older text model": lambda name: f"language_model.{name}" if name.startswith("model.") else name,
    "bare": lambda name: name.removeprefix("model."),
    "bare, in a module": lambda name: f"module.{name.removeprefix('model.')}",
}


@pytest.mark.parametrize("longer", LONGER)
def test_longer_names_are_the_same_tensors(tmp_path, longer):
    arrays = weights() | HEAD
    plain = open_checkpoint(write(tmp_path / "plain", UNTIED, arrays))
    renamed = {LONGER[longer](name): array for name, array in arrays.items()}
    assert len(renamed) == len(arrays)
    checkpoint = open_checkpoint(write(tmp_path / "renamed", UNTIED, renamed))
    assert checkpoint.layout.keys() == plain.layout.keys()
    for name in plain.layout:
        assert np.array_equal(read_dense(checkpoint, name), read_dense(plain, name)), name


def adapted() -> Arrays:
    arrays = {f"base_model.model.{name}": array for name, array in weights().items()}
    query = f"base_model.model.{QUERY}"
    arrays[f"{query}.base_layer.weight"] = arrays.pop(f"{query}.weight")
    return arrays | {f"{query}.lora_A.default.weight": ONE}


def multimodal() -> Arrays:
    arrays = {in_text_model(name): array for name, array in weights().items()}
    return arrays | {"model.visual.patch_embed.weight": ONE}


OTHERWISE: dict[str, tuple[Arrays, str]] = {
    "an adapter that was not merged": (adapted(), "adapter .* in it that was not merged; merge it"),
    "an adapter beside whole matrices": (
        weights() | {f"{QUERY}.lora_A.weight": ONE},
        "an adapter .* that was not merged",
    ),
    "Mistral's format": (
        {"tok_embeddings.weight": ONE, "layers.0.attention.wq.weight": ONE},
        "it is in Mistral's own format",
    ),
    "a multimodal model": (multimodal(), "it is the text model of a multimodal one"),
    "GGUF's names": ({"token_embd.weight": ONE}, "names its 1 tensors otherwise than a llama decoder does"),
    "another family": ({"transformer.wte.weight": ONE}, r"otherwise .* \(“transformer\.wte\.weight”\)"),
    "quantised in silence": (
        {f"{name.removesuffix('weight')}qweight": array for name, array in weights().items()},
        "its weights are quantised in a form that config.json does not state",
    ),
    "two models in one file": (
        {f"{who}.{name}": array for who in ("student", "teacher") for name, array in weights().items()},
        "otherwise than a llama decoder does",
    ),
    "one matrix fewer": (
        {name: array for name, array in weights().items() if "layers.1.mlp.down" not in name},
        r"lacks the tensor “model\.layers\.1\.mlp\.down_proj\.weight”; the checkpoint is incomplete, fetch",
    ),
}


@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_is_no_prefix_is_told_as_what_it_is(tmp_path, kind):
    arrays, sentence = OTHERWISE[kind]
    with pytest.raises(UserError, match=sentence) as refused:
        open_checkpoint(write(tmp_path / "model", CONFIG, arrays))
    assert ("fetch it again" in refused.value.sentence) == (kind == "one matrix fewer")


def test_what_training_with_rewards_leaves_beside_the_model_is_passed_over(tmp_path):
    value = {"v_head.summary.weight": np.ones((1, 16), np.float32)}
    assert open_checkpoint(write(tmp_path / "model", CONFIG, weights() | value)).architecture.layers == 2

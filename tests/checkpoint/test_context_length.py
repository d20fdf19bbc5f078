"""How long a text a checkpoint is for, by settings of published checkpoints and by what model cards say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatterm.checkpoint.config import Config
from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.families import BY_GGUF_ARCHITECTURE, BY_MODEL_TYPE
from chatterm.checkpoint.gguf_config import gguf_config
from chatterm.checkpoint.open import open_checkpoint
from tests.checkpoint.written import CONFIG, write

SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 9, "head_dim": 8}
SIZES |= {"intermediate_size": 48}


def yarn(factor: float, original: int | None = None, **others: Any) -> dict[str, Any]:
    found = {"rope_type": "yarn", "factor": factor, **others}
    return found if original is None else {**found, "original_max_position_embeddings": original}


LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LINEAR_8 = {"rope_type": "linear", "factor": 8.0}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}


@pytest.mark.parametrize(
    ("stated", "scaling", "others", "context"),
    [
        (32768, None, {}, 32768),
        (32768, yarn(4.0, 32768), {}, 131072),  # the card of Qwen 2.5
        (40960, yarn(4.0, 32768), {}, 131072),  # the card of Qwen 3
        (262144, yarn(4.0, 262144), {}, 1048576),  # the card of Qwen3-2507
        (131072, yarn(32.0, 4096), {}, 131072),  # gpt-oss, Yarn-Llama-2-128k: scaled already
        (163840, yarn(40.0, 4096, mscale=1.0, mscale_all_dim=1.0), {}, 163840),  # DeepSeek V3
        (65536, yarn(8.0, 8192), {}, 65536),  # OLMo 3
        (32768, yarn(4.0), {}, 131072),  # as transformers: the stated length is the original one
        (200000, yarn(4.0, 32768), {}, 200000),  # never less than what is stated
        (2048, {"type": "dynamic", "factor": 2.0}, {}, 4096),
        (2048, {"type": "linear", "factor": 4.0}, {}, 8192),
        (4096, {"type": "linear", "factor": 4.0}, {"max_sequence_length": 16384}, 16384),  # vicuna-16k
        (16384, {"type": "linear", "factor": 4.0}, {"model_max_length": 16384}, 16384),  # deepseek-coder
        (16384, {"type": "linear", "factor": 4.0, "original_max_position_embeddings": 4096}, {}, 16384),
        (4096, {"type": "linear", "factor": 4.0}, {"model_max_length": 10**30}, 16384),
        (4096, {"type": "linear", "factor": 4.0}, {"model_max_length": 512}, 16384),
        (
            131072,
            {**LLAMA3, "factor": 8.0, "original_max_position_embeddings": 8192},
            {},
            131072,
        ),  # Llama 3.1
        (131072, {**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192}, {}, 131072),  # 3.2
        (8192, {**LLAMA3, "factor": 8.0, "original_max_position_embeddings": 8192}, {}, 65536),
        (131072, LONGROPE, {"original_max_position_embeddings": 4096}, 131072),  # Phi-3
        (2**30, yarn(1000.0, 2**30), {}, 2**31 - 1),
    ],
)
def test_scaling_makes_the_context_longer_once(
    stated: int, scaling: dict[str, Any] | None, others: dict[str, Any], context: int
) -> None:
    config = {**SIZES, "max_position_embeddings": stated, "rope_scaling": scaling, **others}
    architecture = BY_MODEL_TYPE["llama"].options(Config(config, "config.json"))
    assert architecture.context == context
    assert architecture.extended_from == (stated if context > stated else None)


def test_gemma_3_states_what_its_linear_scaling_made() -> None:
    config = {**SIZES, "max_position_embeddings": 131072, "rope_scaling": LINEAR_8}
    assert BY_MODEL_TYPE["gemma3_text"].options(Config(config, "config.json")).context == 131072


class Header:
    """As much of a GGUF file as its configuration is made of."""

    path = Path("a.gguf")

    def __init__(self, **scaling: Any) -> None:
        self.tensors: dict[str, Any] = {}
        sizes = {"embedding_length": 32, "block_count": 2, "attention.head_count": 4, "context_length": 4096}
        sizes |= {"feed_forward_length": 48}
        keys = sizes | {f"rope.scaling.{key}": value for key, value in scaling.items()}
        self.metadata = {f"llama.{key}": value for key, value in keys.items()}


@pytest.mark.parametrize(
    ("scaling", "context"),
    [
        ({}, 4096),
        ({"type": "yarn", "factor": 4.0, "original_context_length": 4096}, 16384),  # the card, converted
        ({"type": "yarn", "factor": 4.0, "original_context_length": 1024}, 4096),
        ({"type": "linear", "factor": 4.0}, 4096),  # converters write the whole length
    ],
)
def test_a_gguf_file_states_the_whole_length_unless_yarn_says_otherwise(
    scaling: dict[str, Any], context: int
) -> None:
    config = gguf_config(Header(**scaling), "llama")  # type: ignore[arg-type]
    options = BY_GGUF_ARCHITECTURE["llama"].options(Config(config | {"vocab_size": 9}, "a.gguf"))
    assert options.context == context


def test_a_folder_is_shown_with_what_its_context_is_made_of(tmp_path: Path) -> None:
    stated = CONFIG["max_position_embeddings"]
    scaling = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": stated}
    folder = write(tmp_path / "card", CONFIG | {"rope_scaling": scaling})
    found, details = describe(folder)
    assert found.trained_context == 4 * stated
    assert (
        details["context"] == f"{4 * stated} tokens: the {stated} that are stated, extended by rotary scaling"
    )


def test_the_length_of_the_tokenizer_bounds_linear_scaling(tmp_path: Path) -> None:
    stated = CONFIG["max_position_embeddings"]
    folder = write(tmp_path / "linear", CONFIG | {"rope_scaling": {"type": "linear", "factor": 4.0}})
    assert open_checkpoint(folder).architecture.context == 4 * stated
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": stated}))
    assert open_checkpoint(folder).architecture.context == stated

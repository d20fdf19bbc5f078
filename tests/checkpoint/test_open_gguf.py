"""Opening GGUF files: what one says about itself, every refusal, and that it holds what its folder holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from chatterm.checkpoint.open import open_checkpoint
from chatterm.decode.samplers.starting import starting_parameters
from chatterm.errors import UserError
from tests.checkpoint.written import SHAPES, weights


def write_gguf(
    path: Path,
    architecture: str = "llama",
    kind: str = "model",
    extra: dict[str, np.ndarray] | None = None,
    split_max_tensors: int = 0,
    **metadata: Any,
) -> Path:
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=split_max_tensors)
    writer.add_type(kind)
    values = {
        "context_length": 64,
        "embedding_length": 16,
        "block_count": 2,
        "feed_forward_length": 24,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "attention.layer_norm_rms_epsilon": 1e-5,
    } | metadata
    for key, value in values.items():
        full = key if key.startswith("general.") else f"{architecture}.{key}"
        if isinstance(value, list):
            writer.add_array(full, value)
        elif isinstance(value, float):
            writer.add_float32(full, value)
        elif isinstance(value, str):
            writer.add_string(full, value)
        else:
            writer.add_uint32(full, value)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, array in weights().items():
        writer.add_tensor(names.get_name(name, (".weight",)), array)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_says_what_it_is(tmp_path):
    path = write_gguf(tmp_path / "some-model.Q8.gguf", **{"general.sampling.temp": 0.5})
    checkpoint = open_checkpoint(path)
    assert (checkpoint.name, checkpoint.format, checkpoint.family) == ("some-model.Q8", "gguf", "llama")
    assert checkpoint.quantisation == "F32"
    assert checkpoint.generation_defaults == {"general.sampling.temp": 0.5}
    assert starting_parameters(checkpoint.generation_defaults)[0].temperature == 0.5
    assert checkpoint.gguf is not None and checkpoint.folder is None
    assert checkpoint.architecture.tied


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"architecture": "qwen3moe"}, "“qwen3moe”, a mixture of experts"),
        ({"expert_count": 8}, "“llama”, a mixture of experts"),
        ({"architecture": "mamba", "ssm.inner_size": 4}, "a state-space or recurrent model"),
        ({"architecture": "t5"}, "an encoder-decoder"),
        ({"architecture": "clip"}, "a multimodal model"),
        ({"architecture": "brand-new"}, "“brand-new” which"),
        ({"kind": "adapter"}, "a GGUF “adapter”"),
        ({"attention.head_count_kv": [2, 1]}, "differs from layer to layer"),
        ({"rope.scaling.type": "strange"}, "rotary scaling “strange”"),
        ({"embedding_length": "wide"}, "“hidden_size” is 'wide'"),
    ],
)
def test_gguf_refusals_are_one_clear_sentence(tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        open_checkpoint(write_gguf(tmp_path / "x.gguf", **options))


def test_a_mixture_is_named_as_its_file_says_if_that_is_what_it_mostly_is(tmp_path):
    opened = open_checkpoint(write_gguf(tmp_path / "x.gguf", **{"general.file_type": 15}))

    def stored_as(kind: gguf.GGMLQuantizationType) -> str:
        tensors = {name: dataclasses.replace(tensor, type=kind) for name, tensor in opened.stored.items()}
        return dataclasses.replace(opened, stored=tensors).quantisation

    assert stored_as(gguf.GGMLQuantizationType.Q4_K) == "Q4_K_M"
    assert stored_as(gguf.GGMLQuantizationType.Q5_0) == "Q5_0"
    assert stored_as(gguf.GGMLQuantizationType.Q4_0) == "Q4_0"


def test_a_split_file_holds_what_the_whole_one_holds(tmp_path):
    from chatterm.checkpoint.tensors import read_dense

    whole = open_checkpoint(write_gguf(tmp_path / "whole.gguf"))
    write_gguf(tmp_path / "split.gguf", split_max_tensors=4)
    parts = sorted(tmp_path.glob("split-*.gguf"))
    assert len(parts) == 5
    for part in (parts[0], parts[3]):
        split = open_checkpoint(part)
        assert (split.name, split.parameters) == ("split", whole.parameters)
        assert split.file_bytes == sum(path.stat().st_size for path in parts)
        for name in whole.layout:
            assert np.array_equal(read_dense(split, name), read_dense(whole, name))


@pytest.mark.parametrize(
    ("pattern", "windows"),
    [
        ([True, False], [8, None]),
        (2, [8, None]),
        (1, [None, None]),
        (0, [8, 8]),
        (None, [8, 8]),  # Mistral's, in all layers
    ],
)
def test_a_gguf_file_may_say_which_layers_are_windowed(tmp_path, pattern, windows):
    stated = {} if pattern is None else {"attention.sliding_window_pattern": pattern}
    opened = open_checkpoint(write_gguf(tmp_path / "x.gguf", **{"attention.sliding_window": 8}, **stated))
    assert [layer.window for layer in opened.architecture.layer_options] == windows


def test_the_image_side_of_a_gguf_file_is_passed_over(tmp_path):
    path = write_gguf(tmp_path / "x.gguf", extra={"v.blk.0.attn_q.weight": np.ones((4, 4), np.float32)})
    assert open_checkpoint(path).parameters == sum(int(np.prod(shape)) for shape in SHAPES.values())
    with pytest.raises(UserError, match="1 tensors that have no place"):
        open_checkpoint(
            write_gguf(tmp_path / "y.gguf", extra={"blk.0.ffn_gate_exps": np.ones(4, np.float32)})
        )


def test_a_gguf_file_holds_exactly_the_weights_of_its_folder(tmp_path):
    """Rows of queries and keys are permuted in the file and put back."""
    from chatterm.checkpoint.tensors import read_dense

    path = write_gguf(tmp_path / "x.gguf")
    found, original = open_checkpoint(path), weights()
    halves = (
        original["model.layers.0.self_attn.q_proj.weight"].reshape(4, 2, 2, 16).swapaxes(1, 2).reshape(16, 16)
    )
    assert np.array_equal(read_dense(found, "0.queries.weight").numpy(), halves)
    assert np.array_equal(
        read_dense(found, "0.values.weight").numpy(), original["model.layers.0.self_attn.v_proj.weight"]
    )

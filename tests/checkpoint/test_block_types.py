"""What a block stands for is what llama.cpp makes of it.

`blocks_llama_cpp.json` holds random blocks and the float32 numbers that `dequantize_row_…` of llama.cpp's
`ggml-quants.c` (b11434, October 2026, compiled as it is) writes for them.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from chatterm.checkpoint.blocks import SIZES, BlockType, decode, holds_weights
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tensors import read_dense
from chatterm.errors import UserError
from tests.checkpoint.written_gguf import write_gguf

DECODED = json.loads((Path(__file__).parent / "blocks_llama_cpp.json").read_text())


@pytest.mark.parametrize("name", DECODED)
def test_numbers_are_those_of_llama_cpp(name):
    kind = BlockType[name]
    blocks = np.frombuffer(bytes.fromhex(DECODED[name]["blocks"]), np.uint8)
    expected = np.frombuffer(bytes.fromhex(DECODED[name]["numbers"]), "<f4")
    assert np.array_equal(decode(blocks.reshape(1, -1), kind)[0], expected)
    by_block = decode(blocks.reshape(-1, SIZES[kind][1]), kind)
    assert np.array_equal(by_block.reshape(-1), expected)


def test_the_types_and_sizes_of_the_gguf_package_are_among_ours():
    for kind in gguf.GGMLQuantizationType:
        assert (BlockType(kind).name, SIZES[BlockType(kind)]) == (kind.name, gguf.GGML_QUANT_SIZES[kind])


WEIGHTS = [kind for kind in BlockType if holds_weights(kind)]


@pytest.mark.parametrize("kind", WEIGHTS, ids=lambda kind: kind.name)
def test_every_type_that_holds_weights_is_decoded(kind):
    size, block_bytes = SIZES[kind]
    if kind not in (BlockType.F32, BlockType.F16, BlockType.F64):  # views, never decoded
        assert decode(np.zeros((2, block_bytes), np.uint8), kind).shape == (2, size)


def test_a_type_that_nobody_knows_is_not_said_to_be_cured_by_an_update(tmp_path):
    path = tmp_path / "new.gguf"
    name = b"blk.0.attn_q.weight"
    info = struct.pack("<Q", len(name)) + name + struct.pack("<IQQIQ", 2, 64, 2, 43, 0)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + info + bytes(256))
    with pytest.raises(UserError, match="block type 43, which chatterm does not know") as refused:
        open_checkpoint(path)
    assert "pip" not in refused.value.sentence


@pytest.mark.parametrize("kind", ["Q8_1", "Q8_K", "I32"])
def test_types_that_hold_no_weights_are_refused_when_the_file_is_opened(tmp_path, kind):
    with pytest.raises(UserError, match=rf"“blk\.0\.ffn_down\.weight” is stored as {kind}, in which no file"):
        open_checkpoint(write_gguf(tmp_path / "m.gguf", types={"blk.0.ffn_down.weight": kind}))


def test_a_scale_beside_a_matrix_multiplies_it(tmp_path):
    options = {"blk.0.attn_q.weight": "NVFP4", "blk.0.ffn_up.weight": "NVFP4"}
    plain = open_checkpoint(write_gguf(tmp_path / "plain.gguf", types=options))
    scales = {"blk.0.attn_q.scale": 0.37, "blk.0.ffn_up.scale": 3.0, "blk.0.attn_v.scale": 2.0}
    unused = {"blk.0.attn_q.input_scale": 9.0}
    scaled = open_checkpoint(write_gguf(tmp_path / "scaled.gguf", types=options, scales=scales | unused))
    for name, factor in {"queries": 0.37, "up": 3.0, "values": 2.0, "keys": 1.0}.items():
        expected = read_dense(plain, f"0.{name}.weight") * np.float32(factor)
        assert np.array_equal(read_dense(scaled, f"0.{name}.weight"), expected), name
    assert scaled.parameters == plain.parameters


@pytest.mark.parametrize("name", ["token_embd.scale", "blk.0.attn_norm.scale", "blk.7.attn_q.scale"])
def test_a_scale_that_llama_cpp_would_not_read_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="no place in a llama decoder"):
        open_checkpoint(write_gguf(tmp_path / "m.gguf", scales={name: 2.0}))

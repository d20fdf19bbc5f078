"""Block types: every one that the `gguf` package decodes, in files, row by row, joined."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.tensors import PackedWeight, dense, join_rows


def decodes(kind: GGMLQuantizationType) -> bool:
    block, size = GGML_QUANT_SIZES[kind]
    try:
        gguf.dequantize(np.zeros((1, size), np.uint8), kind)
    except NotImplementedError:
        return False
    return block > 1


DECODABLE = [kind for kind in GGMLQuantizationType if decodes(kind)]


def random_blocks(kind: GGMLQuantizationType, rows: int, columns: int, seed: int = 0) -> PackedWeight:
    block, size = GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (rows, columns // block * size), dtype=np.uint8)
    return PackedWeight(kind, blocks, (rows, columns))


def test_the_usual_types_are_among_the_decodable_ones():
    usual = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ2_XXS IQ3_S IQ1_S MXFP4"
    assert set(usual.split()) <= {kind.name for kind in DECODABLE}


@pytest.mark.parametrize("kind", DECODABLE, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_unpacking_gives_what_the_gguf_package_gives(kind):
    for rows in (1, 5, 48):
        weight = random_blocks(kind, rows, 512)
        expected = torch.from_numpy(gguf.dequantize(weight.blocks, kind))
        torch.testing.assert_close(weight.dequantise(), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", DECODABLE, ids=lambda kind: kind.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_can_be_moved_without_unpacking(kind):
    weight = random_blocks(kind, 12, 256)
    rows = np.random.default_rng(1).permutation(12)[:7]
    torch.testing.assert_close(
        weight.take(rows).dequantise(), weight.dequantise()[rows], rtol=0, atol=0, equal_nan=True
    )


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_joining_packed_rows_is_joining_the_numbers(rows, seed):
    weights = [random_blocks(GGMLQuantizationType.Q4_K, count, 256, seed) for count in rows]
    joined = join_rows(weights)
    assert isinstance(joined, PackedWeight)
    expected = torch.cat([weight.dequantise() for weight in weights])
    torch.testing.assert_close(dense(joined), expected, rtol=0, atol=0, equal_nan=True)


def test_different_types_do_not_join_packed():
    q4, q6 = (random_blocks(kind, 2, 256) for kind in (GGMLQuantizationType.Q4_K, GGMLQuantizationType.Q6_K))
    assert join_rows([q4, q6]) is None
    assert join_rows([torch.ones(2, 256), q6]) is None
    assert torch.equal(
        join_rows([torch.ones(1, 2), torch.zeros(2, 2)]), torch.tensor([[1.0, 1], [0, 0], [0, 0]])
    )


def test_half_precision_is_asked_for_and_given(tmp_path: Path):
    weight = random_blocks(GGMLQuantizationType.Q8_0, 3, 64)
    assert weight.dequantise(torch.bfloat16).dtype == torch.bfloat16
    assert weight.nbytes == 3 * 2 * 34

"""Weights in tiles are the same numbers, and a product with them is the product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from chatterm.checkpoint.blocks import SIZES, BlockType
from chatterm.checkpoint.memory import TILE_BITS
from chatterm.checkpoint.tensors import PackedWeight, Weight, dense
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.native.four_bit import KINDS
from chatterm.model.native.tiles import Pool, Product, Tiles, fits

try:
    library()
except NotBuiltError as error:
    pytest.skip(f"no native operator here: {error}", allow_module_level=True)

HALVES = {  # where the half-precision scales of a block are
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,),
    "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "Q1_0": (0,), "Q2_0": (0,),
}  # fmt: skip
ROWS = (16, 40)
THREADS = (1, 2)


def random_blocks(name: str, rows: int, columns: int, seed: int) -> PackedWeight:
    """Any bytes are valid blocks; only the scales are kept from being huge or not numbers."""
    kind = BlockType[name]
    size, block_bytes = SIZES[kind]
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (rows, columns // size, block_bytes), dtype=np.uint8)
    for place in HALVES[name]:
        scales = rng.normal(0, 0.01, (rows, columns // size)).astype(np.float16)
        scales.flat[:4] = (0.0, -0.0, 6e-8, -3e-6)  # zeros and subnormals too
        blocks[..., place : place + 2] = scales.view(np.uint8).reshape(rows, -1, 2)
    return PackedWeight(kind, blocks.reshape(rows, -1), (rows, columns))


def weights(rows: int) -> dict[str, Weight]:
    generator = torch.Generator().manual_seed(rows)
    plain = torch.randn(rows, 512, generator=generator)
    packed = {name: random_blocks(name, rows, 512, rows) for name in HALVES}
    odd = torch.randn(rows, 37, generator=generator)
    return packed | {
        "F32": plain,
        "F16": plain.half(),
        "BF16": plain.bfloat16(),
        "F32 odd": odd,
        "BF16 odd": odd.bfloat16(),
    }


NAMES = list(weights(16))


def four_bit_floats(name: str, rows: int, columns: int, scale: float = 1.0) -> PackedWeight:
    kind = BlockType[name]
    size, block_bytes = SIZES[kind]
    rng = np.random.default_rng(rows)
    blocks = rng.integers(0, 256, (rows, columns // size, block_bytes), dtype=np.uint8)
    if kind == BlockType.MXFP4:
        blocks[..., 0] = rng.integers(110, 130, blocks.shape[:2])
        blocks[0, :2, 0] = (0, 1)
    else:
        blocks[0, 0, :4] = (0, 1, 0x7F, 0x7E)
    return PackedWeight(kind, blocks.reshape(rows, -1), (rows, columns), scale)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("name", "scale"), [("MXFP4", 1.0), ("NVFP4", 1.0), ("NVFP4", 0.37)])
def test_tiles_of_four_bit_floats_hold_the_same_numbers(name: str, scale: float, rows: int) -> None:
    weight = four_bit_floats(name, rows, 512, scale)
    assert fits(weight)
    tiles = Tiles(weight, None, Pool(2))
    expected = dense(weight)
    got = tiles.expand(torch.empty(expected.shape))
    if scale == 1:
        assert torch.equal(got, expected)
    torch.testing.assert_close(got, expected, rtol=2e-7, atol=0)  # d·s·e: one of the two products is rounded
    assert torch.equal(tiles.look_up(torch.tensor([1, 0])), got[[1, 0]])
    x = torch.randn(512, generator=torch.Generator().manual_seed(1))
    bound = expected.double().abs() @ x.double().abs()
    assert ((tiles.times(x) - expected.double() @ x.double()).abs() / bound).max() < 1e-6


def test_a_scale_beside_blocks_that_have_no_room_for_it_is_not_lost() -> None:
    weight = random_blocks("Q4_0", 16, 512, 0)
    assert fits(weight) and not fits(replace(weight, scale=2.0))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("name", NAMES)
def test_tiles_hold_the_same_numbers(name: str, rows: int) -> None:
    weight = weights(rows)[name]
    assert fits(weight)
    tiles = Tiles(weight, None, Pool(2))
    expected = dense(weight).float()
    got = tiles.expand(torch.empty(expected.shape))
    torch.testing.assert_close(got, expected, rtol=2e-6, atol=1e-9)
    narrow = tiles.expand(torch.empty(expected.shape, dtype=torch.bfloat16))
    assert torch.equal(narrow, got.bfloat16())
    some = torch.tensor([rows - 1, 0, 3])
    assert torch.equal(tiles.look_up(some), got[some])
    for first in range(0, rows, 16):
        assert torch.equal(tiles.expand_rows(first, torch.empty_like(got[first:])), got[first:])


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", NAMES)
def test_a_product_with_tiles_is_the_product(name: str, threads: int) -> None:
    weight = weights(40)[name]
    matrix = dense(weight).double()
    x = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(1))
    bias = torch.randn(40, generator=torch.Generator().manual_seed(2))
    got: Tensor = Tiles(weight, bias, Pool(threads)).times(x).double()
    expected = matrix @ x.double() + bias.double()
    scale = (matrix.abs() @ x.double().abs()) + bias.double().abs()
    assert ((got - expected).abs() / scale).max() < 1e-6


@pytest.mark.parametrize("rows", [(40,), (16, 32), (40, 24, 16)])
@pytest.mark.parametrize("name", ["Q4_1", "Q6_K", "F32 odd"])
def test_matrices_side_by_side_are_each_of_them_alone(name: str, rows: tuple[int, ...]) -> None:
    pool = Pool(2)
    parts = [Tiles(weights(count)[name], torch.arange(float(count)), pool) for count in rows]
    x = torch.randn(19, parts[0].columns, generator=torch.Generator().manual_seed(4))
    together = Product(parts)(x)
    alone = torch.stack([torch.cat([part.times(row) for part in parts]) for row in x])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("name", ["Q4_1", "Q8_0"])
def test_packed_weights_stay_as_small_as_their_blocks(name: str) -> None:
    weight = random_blocks(name, 1024, 1024, 0)
    assert Tiles(weight, None, Pool(1)).nbytes < 1.05 * weight.nbytes


@pytest.mark.parametrize("name", TILE_BITS)
def test_what_takes_more_in_tiles_is_counted_so(name: str) -> None:
    four_bit = BlockType[name] in KINDS
    weight = four_bit_floats(name, 1024, 1024) if four_bit else random_blocks(name, 1024, 1024, 0)
    counted = 1024 * 1024 * TILE_BITS[name] / 8
    assert counted <= Tiles(weight, None, Pool(1)).nbytes < 1.01 * counted


def test_what_does_not_fit_is_known() -> None:
    blocks = np.zeros((16, 66), np.uint8)
    assert not fits(PackedWeight(BlockType.IQ2_XXS, blocks, (16, 256)))
    assert not fits(torch.zeros(16, 32, dtype=torch.float64))


def test_many_rounds_of_work_on_many_threads_agree() -> None:
    weight = torch.randn(333, 64, generator=torch.Generator().manual_seed(0))
    tiles = Tiles(weight, None, Pool(7))
    for _ in range(3000):
        assert torch.equal(tiles.expand(torch.empty(333, 64)), weight)


def test_a_large_product_is_the_same_on_any_number_of_threads() -> None:
    weight = torch.randn(1040, 1024, generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 1024, generator=torch.Generator().manual_seed(1))
    one, several = (Product([Tiles(weight, None, Pool(threads))]) for threads in (1, 4))
    for _ in range(20):
        assert torch.equal(one(x), several(x))

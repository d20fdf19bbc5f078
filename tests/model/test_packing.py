"""Tiles made of a mapped file: the same as of memory, and the file's memory is given back on the way."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chatterm.checkpoint.files import map_file
from chatterm.checkpoint.pages import Pages
from chatterm.checkpoint.tensors import PackedWeight, Weight, dense
from chatterm.model.native import tiles as native_tiles
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.native.tiles import Pool, Tiles
from tests.model.test_native_tiles import HALVES, four_bit_floats, random_blocks

try:
    library()
except NotBuiltError as error:
    pytest.skip(f"no native operator here: {error}", allow_module_level=True)

ROWS, COLUMNS = 1000, 1024


class Counted(Pages):
    """Remembers what is given back."""

    def __init__(self, mapped: np.ndarray) -> None:
        super().__init__([mapped])
        self.given: list[tuple[int, int]] = []

    def give_back(self, address: int, size: int) -> None:
        self.given.append((address, size))
        super().give_back(address, size)


NAMES = [*HALVES, "MXFP4", "NVFP4"]


def weight(name: str, rows: int = ROWS) -> PackedWeight:
    return random_blocks(name, rows, COLUMNS, 0) if name in HALVES else four_bit_floats(name, rows, COLUMNS)


def packed(matrix: Tiles) -> bytes:
    """What the operator reads."""
    size = library().chatterm_packed_bytes(matrix.matrix.kind, matrix.rows, matrix.columns)
    return ctypes.string_at(matrix.matrix.data, size)


@pytest.mark.parametrize("name", NAMES)
def test_tiles_of_a_file_are_those_of_memory(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(native_tiles, "GIVEN_BACK", 1 << 17)  # many pieces, the last one not whole
    whole = weight(name)
    path = tmp_path / "weights"
    path.write_bytes(bytes(77) + whole.blocks.tobytes())  # not aligned to anything
    mapped = np.frombuffer(map_file(path), np.uint8)
    pages = Counted(mapped)
    lying = replace(whole, blocks=mapped[77:].reshape(whole.blocks.shape))
    one, two = Pool(1), Pool(2)
    expected = packed(Tiles(whole, None, one))
    assert packed(Tiles(lying, None, two, pages)) == expected
    if name in HALVES:  # MXFP4 and NVFP4 are brought into another form first
        starts = [address for address, _ in pages.given]
        assert starts[0] == lying.blocks.ctypes.data and sum(size for _, size in pages.given) == lying.nbytes
        assert len(starts) > 1 and max(size for _, size in pages.given) <= max(
            1 << 17, 16 * lying.blocks.shape[1]
        )
    order = np.random.default_rng(1).permutation(ROWS)[:333]
    some = replace(whole, blocks=np.ascontiguousarray(whole.blocks[order]), shape=(333, COLUMNS))
    assert packed(Tiles(lying.take(order), None, two, pages)) == packed(Tiles(some, None, one))
    twice = lying.take(order).take(np.arange(332, -1, -1))
    assert torch.equal(dense(twice), dense(some).flip(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_plain_numbers_of_a_file_are_given_back_too(dtype: torch.dtype, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(native_tiles, "GIVEN_BACK", 1 << 17)
    numbers: Weight = torch.randn(ROWS, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    path = tmp_path / "weights"
    path.write_bytes(numbers.contiguous().view(torch.uint8).numpy().tobytes())
    mapped = np.frombuffer(map_file(path), np.uint8)
    lying = torch.from_numpy(mapped).view(dtype).reshape(ROWS, 300)
    pages = Counted(mapped)
    assert packed(Tiles(lying, None, Pool(2), pages)) == packed(Tiles(numbers, None, Pool(1)))
    assert len(pages.given) > 1 and sum(size for _, size in pages.given) == mapped.nbytes

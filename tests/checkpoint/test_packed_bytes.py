"""What weights take in memory: as on disk, unless the native operator has no tile for one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatterm.checkpoint.blocks import BlockType
from chatterm.checkpoint.fetch.choices import _stays_packed
from chatterm.checkpoint.memory import STAYS_PACKED, memory_needed, step_bytes
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.native.four_bit import KINDS
from tests.faults import specimens


def test_the_types_are_those_of_the_native_operator():
    try:
        native = library()
    except NotBuiltError:
        pytest.skip("the native operator cannot be built here")
    held = {kind.name for kind in BlockType if native.chatterm_kind(int(kind)) >= 0}
    assert held | {kind.name for kind in KINDS} == STAYS_PACKED


def test_one_matrix_without_a_tile_makes_all_of_them_float32(tmp_path: Path, monkeypatch):
    checkpoint = open_checkpoint(specimens.gguf_file(tmp_path / "model.gguf"))
    assert checkpoint.packed_bytes == checkpoint.file_bytes
    packed = memory_needed(checkpoint, packed=True)
    monkeypatch.setattr("chatterm.checkpoint.open.STAYS_PACKED", STAYS_PACKED - {"Q8_0"})
    assert checkpoint.packed_bytes == 4 * checkpoint.parameters
    assert memory_needed(checkpoint, packed=True) == memory_needed(checkpoint) > packed
    assert step_bytes(checkpoint, packed=True) == step_bytes(checkpoint)


@pytest.mark.parametrize(
    "name", ["Q4_K_M", "q4_0", "Q8_0", "F16", "BF16", "Q6_K", "Q5_K_S", "MXFP4", "Q1_0", None]
)
def test_names_of_files_that_stay_packed(name: str | None):
    assert _stays_packed(name)


@pytest.mark.parametrize("name", ["Q2_K", "Q3_K_M", "IQ4_XS", "IQ2_XXS", "TQ1_0"])
def test_names_of_files_that_do_not(name: str):
    assert not _stays_packed(name)

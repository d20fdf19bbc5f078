"""Parts of split GGUF files: what the headers say goes before what the names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from tests.checkpoint.written_gguf import SHAPES, write_gguf

HALF = len(SHAPES) // 2
HALVES = (slice(0, HALF), slice(HALF, None))


def two_parts(folder: Path, names: tuple[str, str], *, seed: int = 0) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [
        write_gguf(folder / name, split=(number, 2), only=half, seed=seed)
        for number, (name, half) in enumerate(zip(names, HALVES, strict=True))
    ]


@pytest.mark.parametrize("split", [None, (0, 1), (0, 0)])
@pytest.mark.parametrize("name", ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "M-00003-OF-00003.GGUF"])
def test_a_whole_file_may_have_kept_a_parts_name(tmp_path, name, split):
    path = write_gguf(tmp_path / name, split=split)
    assert open_checkpoint(path).parameters > 0
    assert read_gguf(path).parts == (path,)


@pytest.mark.parametrize(
    "names",
    [
        ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"),
        ("m-00002-of-00002.gguf", "m-00001-of-00002.gguf"),  # in the wrong order
        ("a.gguf", "b.gguf"),
        ("b.gguf", "a.gguf"),
        ("m-00001-of-00005.gguf", "m-00002-of-00005.gguf"),  # of another count
        ("m-00001-of-00002.gguf", "m-00002-of-00002 (1).gguf"),
    ],
)
def test_parts_are_found_under_any_names_and_joined_in_their_own_order(tmp_path, names):
    whole = read_gguf(write_gguf(tmp_path / "whole.gguf"))
    parts = two_parts(tmp_path / "parts", names)
    write_gguf(tmp_path / "parts" / "something else.gguf", seed=9)
    for path in parts:
        file = read_gguf(path)
        assert file.parts == tuple(parts)
        assert file.metadata["llama.block_count"] == 1
        assert set(file.tensors) == set(whole.tensors)
        for name, tensor in whole.tensors.items():
            assert np.array_equal(file.tensors[name].data, tensor.data), name


def test_what_is_missing_is_named(tmp_path):
    first, second = two_parts(tmp_path / "named", ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"))
    second.unlink()
    with pytest.raises(UserError, match=r"one of 2 parts .* of which m-00002-of-00002\.gguf cannot be found"):
        read_gguf(first)
    _, second = two_parts(tmp_path / "renamed", ("a.gguf", "b.gguf"))
    (tmp_path / "renamed" / "a.gguf").unlink()
    with pytest.raises(UserError, match=r"one of 2 parts .* of which part 1 cannot be found"):
        read_gguf(second)


def test_a_copy_in_the_place_of_another_part_is_found_out(tmp_path):
    first, second = two_parts(tmp_path / "m", ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"))
    second.write_bytes(first.read_bytes())
    with pytest.raises(UserError, match="not all parts of one file"):
        read_gguf(first)


def test_renamed_parts_of_two_models_are_not_mixed(tmp_path):
    two_parts(tmp_path / "m", ("a.gguf", "b.gguf"))
    two_parts(tmp_path / "m", ("c.gguf", "d.gguf"), seed=5)
    with pytest.raises(UserError, match="say that they are the same part"):
        read_gguf(tmp_path / "m" / "a.gguf")


def test_a_count_that_no_split_file_has_is_refused(tmp_path):
    with pytest.raises(UserError, match="one of 2000 parts, which no real split file has"):
        read_gguf(write_gguf(tmp_path / "m.gguf", split=(0, 2000)))


def test_parts_that_hold_fewer_tensors_than_they_say_are_incomplete(tmp_path):
    for number, half in enumerate(HALVES):
        write_gguf(tmp_path / f"m-0000{number + 1}-of-00002.gguf", split=(number, 2), only=half, stated=99)
    with pytest.raises(UserError, match="should hold 99 tensors"):
        read_gguf(tmp_path / "m-00001-of-00002.gguf")

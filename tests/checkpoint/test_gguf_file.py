"""GGUF headers: what is read, and that no damage gets past with anything but a sentence."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.gguf import GGUFFile, read_gguf, split_parts
from chatterm.errors import UserError

METADATA = {
    "u8": ("add_uint8", 200),
    "i8": ("add_int8", -100),
    "u16": ("add_uint16", 60_000),
    "i16": ("add_int16", -30_000),
    "u32": ("add_uint32", 4_000_000_000),
    "i32": ("add_int32", -2_000_000_000),
    "u64": ("add_uint64", 2**63 + 5),
    "i64": ("add_int64", -(2**62)),
    "f32": ("add_float32", 0.5),
    "f64": ("add_float64", 0.1),
    "yes": ("add_bool", True),
    "text": ("add_string", "苹果 🍎"),
    "words": ("add_array", ["a", "", "ü", "▁the"]),
    "numbers": ("add_array", [1, 2, 3]),
    "scores": ("add_array", [0.5, -1.25]),
    "flags": ("add_array", [True, False]),
}


def write(path: Path, tensors: dict[str, np.ndarray], *, split: tuple[int, int] | None = None) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    for key, (method, value) in METADATA.items():
        getattr(writer, method)(key, value)
    if split:
        writer.add_uint16("split.no", split[0])
        writer.add_uint16("split.count", split[1])
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "matrix": rng.normal(size=(6, 64)).astype(np.float32),
        "half": rng.normal(size=(3, 32)).astype(np.float16),
        "vector": rng.normal(size=7).astype(np.float32),
    }


@pytest.fixture
def path(tmp_path, tensors) -> Path:
    return write(tmp_path / "a.gguf", tensors)


def test_metadata_of_every_type_comes_as_plain_values(path):
    file = read_gguf(path)
    for key, (_, value) in METADATA.items():
        assert file.metadata[key] == value, key
        assert type(file.metadata[key]) is type(value), key
    assert file.metadata["general.architecture"] == "llama"
    assert file.version == 3


def test_tensors_are_mapped_row_major(path, tensors):
    file = read_gguf(path)
    assert list(file.tensors) == list(tensors)
    for name, array in tensors.items():
        tensor = file.tensors[name]
        assert tensor.shape == array.shape
        assert np.array_equal(tensor.data.reshape(-1).view(array.dtype).reshape(array.shape), array)
    assert file.tensors["half"].data.shape == (3, 64)
    assert file.tensors["half"].type == gguf.GGMLQuantizationType.F16


def test_without_arrays_only_the_long_arrays_are_missing(path, monkeypatch):
    monkeypatch.setattr("chatterm.checkpoint.gguf_header.LONG_ARRAY", 3)
    with_arrays, without = read_gguf(path), read_gguf(path, arrays=False)
    lists = {
        key for key, value in with_arrays.metadata.items() if isinstance(value, list) and len(value) >= 3
    }
    assert lists == {"words", "numbers"}
    assert set(without.metadata) == set(with_arrays.metadata) - lists
    assert set(without.tensors) == set(with_arrays.tensors)


def test_text_that_is_no_utf8_survives_as_bytes(path):
    path.write_bytes(path.read_bytes().replace("苹果".encode(), b"\xe8\x8b\xff\xfe\xe6\x9e"))
    assert read_gguf(path).metadata["text"].encode("utf-8", "surrogateescape").startswith(b"\xe8\x8b\xff\xfe")


def test_version_2_is_read(path):
    data = path.read_bytes()
    path.write_bytes(data[:4] + struct.pack("<I", 2) + data[8:])
    assert read_gguf(path).version == 2


def test_the_parts_of_a_split_file_are_joined_from_any_of_them(tmp_path, tensors):
    names = list(tensors)
    paths = split_parts(tmp_path / "m-00001-of-00003.gguf")
    for number, (part, name) in enumerate(zip(paths, names, strict=True)):
        write(part, {name: tensors[name]}, split=(number, 3))
    for part in paths:
        file = read_gguf(part)
        assert (file.path, file.parts) == (paths[0], paths)
        assert set(file.tensors) == set(names)
        assert np.array_equal(file.tensors["vector"].data.reshape(-1).view(np.float32), tensors["vector"])
        assert file.file_bytes == sum(path.stat().st_size for path in paths)
    paths[1].unlink()
    with pytest.raises(UserError, match=r"one of 3 parts .* m-00002-of-00003\.gguf cannot be found"):
        read_gguf(paths[0])


def test_a_renamed_part_is_not_taken_for_the_whole(tmp_path, tensors):
    with pytest.raises(UserError, match="one of 3 parts"):
        read_gguf(write(tmp_path / "renamed.gguf", tensors, split=(0, 3)))


def test_a_part_with_the_tensors_of_another_is_refused(tmp_path, tensors):
    for number, part in enumerate(split_parts(tmp_path / "m-00001-of-00002.gguf")):
        write(part, {"matrix": tensors["matrix"]}, split=(number, 2))
    with pytest.raises(UserError, match="repeats the tensor “matrix”"):
        read_gguf(tmp_path / "m-00001-of-00002.gguf")


def header(version: int = 3, tensors: int = 0, pairs: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + rest


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, shape: tuple[int, ...], kind: int, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


DAMAGED = {
    "empty": (b"", "is empty"),
    "not gguf": (b"PK\x03\x04" + bytes(60), "not a GGUF file"),
    "version 1": (header(1), "GGUF version 1"),
    "big-endian": (b"GGUF" + struct.pack(">I", 3) + bytes(16), "big-endian"),
    "cut off": (b"GGUF\x03\x00", "ends in the middle"),
    "many tensors": (header(tensors=2**60), "more than fit"),
    "many pairs": (header(pairs=2**63), "more than fit"),
    "long key": (header(pairs=1, rest=struct.pack("<Q", 2**62) + bytes(20)), "more than fit"),
    "unknown value type": (
        header(pairs=1, rest=text(b"k") + struct.pack("<I", 77) + bytes(9)),
        "unknown type 77",
    ),
    "endless array": (header(pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 4, 2**61)), "more than fit"),
    "endless string array": (
        header(pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 8, 2**61)),
        "more than fit",
    ),
    "long string in an array": (
        header(pairs=1, rest=text(b"k") + struct.pack("<IIQQ", 9, 8, 1, 2**50)),
        "longer than the file",
    ),
    "arrays in arrays for ever": (
        header(pairs=1, rest=text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50 + bytes(40)),
        "unknown type 9",
    ),
    "five dimensions": (header(tensors=1, rest=tensor(b"t", (1, 1, 1, 1, 1), 0)), "5 dimensions"),
    "no dimensions": (header(tensors=1, rest=tensor(b"t", (), 0) + bytes(8)), "0 dimensions"),
    "empty tensor": (header(tensors=1, rest=tensor(b"t", (0, 4), 0)), "is empty"),
    "unknown block type": (header(tensors=1, rest=tensor(b"t", (32,), 999)), "block type 999"),
    "broken block": (header(tensors=1, rest=tensor(b"t", (33,), 2)), "no whole number of Q4_0"),
    "shared bytes": (
        header(tensors=2, rest=tensor(b"a", (1,), 0) + tensor(b"b", (1,), 0) + bytes(64)),
        "share their bytes",
    ),
    "tensors without end": (header(tensors=200_000, rest=bytes(24 * 200_000)), "more than any real model"),
    "entries without end": (header(pairs=200_000, rest=bytes(24 * 200_000)), "more than any real model"),
    "lists without end": (
        header(pairs=1, rest=text(b"k") + struct.pack("<IIQ", 9, 0, 7_000_000) + bytes(7_000_000)),
        "more than any real model",
    ),
    "past the end": (header(tensors=1, rest=tensor(b"t", (1000,), 0)), "is cut off"),
    "overflowing shape": (header(tensors=1, rest=tensor(b"t", (2**40, 2**40), 0)), "is cut off"),
    "offset past the end": (header(tensors=1, rest=tensor(b"t", (1,), 0, 2**63)), "is cut off"),
    "twice": (header(tensors=2, rest=tensor(b"t", (1,), 0) * 2 + bytes(64)), "“t” twice"),
    "no alignment": (
        header(pairs=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 0)),
        "alignment 0",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    data, sentence = DAMAGED[case]
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        read_gguf(tmp_path / "x.gguf")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_gguf(tmp_path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.floats(0, 1),
)
def test_no_damage_escapes_as_another_error(path, tmp_path, changes, cut):
    data = bytearray(path.read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(data[: int(len(data) * cut)])
    try:
        file = read_gguf(damaged)
    except UserError as error:
        assert str(error).startswith(str(damaged))
    else:
        assert isinstance(file, GGUFFile)
        for part in file.tensors.values():
            assert part.data.nbytes == part.nbytes

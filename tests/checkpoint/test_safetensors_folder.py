"""Checkpoint folders: what is read, what is refused, and that nothing leads out of the folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from chatterm.checkpoint.files import inside, read_json
from chatterm.checkpoint.safetensors_folder import read_safetensors_folder
from chatterm.errors import UserError

ARRAYS = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b.weight": np.arange(5, dtype=np.float16),
    "c.bias": np.array(7, dtype=np.int64),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    save_file(ARRAYS, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path


def shard(folder: Path, weight_map: dict[str, str]) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_tensors_are_mapped_with_their_shapes_and_types(folder):
    found = read_safetensors_folder(folder)
    assert set(found.tensors) == set(ARRAYS)
    for name, array in ARRAYS.items():
        tensor = found.tensors[name]
        assert tensor.shape == array.shape
        assert tensor.type == {"float32": "F32", "float16": "F16", "int64": "I64"}[array.dtype.name]
        assert np.array_equal(tensor.data.copy().view(array.dtype).reshape(array.shape), array)
    assert found.file_bytes == (folder / "model.safetensors").stat().st_size


def test_shards_are_joined(tmp_path):
    save_file({"a": ARRAYS["a.weight"]}, tmp_path / "model-1.safetensors")
    save_file({"b": ARRAYS["b.weight"]}, tmp_path / "model-2.safetensors")
    shard(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    assert set(read_safetensors_folder(tmp_path).tensors) == {"a", "b"}
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks 1 of its 2 weight files, first model-2\.safetensors"):
        read_safetensors_folder(tmp_path)


def test_the_same_tensor_in_two_shards_is_refused_if_its_numbers_differ(tmp_path):
    for name in ("model-1.safetensors", "model-2.safetensors"):
        save_file({"a": ARRAYS["a.weight"]}, tmp_path / name)
    shard(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    assert set(read_safetensors_folder(tmp_path).tensors) == {"a"}
    save_file({"a": ARRAYS["a.weight"] + 1}, tmp_path / name)
    with pytest.raises(UserError, match="“a” in two files, with different numbers"):
        read_safetensors_folder(tmp_path)


def test_a_single_file_of_another_name_is_found(tmp_path):
    save_file(ARRAYS, tmp_path / "weights.safetensors")
    assert len(read_safetensors_folder(tmp_path).tensors) == 3
    save_file(ARRAYS, tmp_path / "more.safetensors")
    with pytest.raises(UserError, match=r"2 sets of weights, none of them called model\.safetensors"):
        read_safetensors_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pytorch_model.bin", "pickle .* can run any code .* convert it"),
        ("pytorch_model-00001-of-00002.bin", "pickle"),
        ("consolidated.00.pth", "pickle"),
        ("adapter_config.json", "adapter"),
        ("readme.md", r"holds no model\.safetensors"),
    ],
)
def test_folders_without_safetensors_are_refused_with_the_reason(tmp_path, name, sentence):
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=sentence):
        read_safetensors_folder(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *("../secret", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\\b", "x/../y"),
        *("a\0b", "\ud800", "x" * 256, "é" * 128),
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    shard(tmp_path, {"a": name})
    with pytest.raises(UserError, match="outside itself"):
        read_safetensors_folder(tmp_path)


def test_links_out_of_the_folder_are_refused_except_those_of_a_hugging_face_cache(tmp_path):
    repository = tmp_path / "models--org--name"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    save_file(ARRAYS, blobs / "0123")
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    assert len(read_safetensors_folder(snapshot).tensors) == 3

    save_file(ARRAYS, tmp_path / "elsewhere")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="a link out of its folder"):
        read_safetensors_folder(snapshot)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "model.safetensors").symlink_to(blobs / "0123")
    with pytest.raises(UserError, match="a link out of its folder"):
        read_safetensors_folder(plain)
    assert inside(plain, "config.json") == plain / "config.json"


def test_a_link_in_a_circle_is_a_missing_file(tmp_path):
    shard(tmp_path, {"a": "model-1.safetensors"})
    (tmp_path / "model-1.safetensors").symlink_to("model-1.safetensors")
    with pytest.raises(UserError, match="lacks 1 of its 1 weight files"):
        read_safetensors_folder(tmp_path)


def test_more_files_than_any_real_checkpoint_are_refused_unseen(tmp_path):
    shard(tmp_path, {f"t{number}": f"{number}.safetensors" for number in range(1001)})
    with pytest.raises(UserError, match="names 1001 weight files"):
        read_safetensors_folder(tmp_path)


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict:
    return {"t": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


DAMAGED = {
    "empty": (b"", "is empty"),
    "short": (b"\x01\x00", "cut off"),
    "long header": (struct.pack("<Q", 2**40) + bytes(20), "cut off"),
    "no json": (raw(b"not json at all"), "unreadable header"),
    "deep json": (raw(b"[" * 100_000), "unreadable header"),
    "a list": (raw([1, 2, 3, 4]), "unreadable header"),
    "no object": (raw({"t": 5}, bytes(8)), "malformed"),
    "negative offset": (raw(entry(offsets=[-4, 0]), bytes(8)), "malformed"),
    "one offset": (raw(entry(offsets=[4]), bytes(8)), "malformed"),
    "text as shape": (raw(entry(shape="1"), bytes(8)), "malformed"),
    "past the end": (raw(entry(shape=[100], offsets=[0, 400]), bytes(8)), "do not fit"),
    "wrong size": (raw(entry(shape=[2], offsets=[0, 4]), bytes(8)), "do not fit"),
    "huge shape": (raw(entry(shape=[2**62, 2**62], offsets=[0, 4]), bytes(8)), "do not fit"),
    "shared bytes": (raw(entry() | {"u": entry()["t"]}, bytes(4)), "do not lie one after the other"),
    "a gap": (raw(entry(offsets=[4, 8]), bytes(8)), "do not lie one after the other"),
    "bytes of nobody": (raw(entry(), bytes(8)), "do not lie one after the other"),
    "a name twice": (raw(b'{"t": {}, "t": {}}', bytes(8)), "unreadable header"),
    "entries without end": (raw(b"[" + b"0," * 2_100_000 + b"0]"), "more entries than any real one"),
    "eight bits": (raw(entry(dtype="F8_E4M3", offsets=[0, 1]), bytes(8)), "stored as F8_E4M3"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named(case, tmp_path):
    data, sentence = DAMAGED[case]
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        read_safetensors_folder(tmp_path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.floats(0, 1),
)
def test_no_damage_escapes_as_another_error(folder, tmp_path_factory, changes, cut):
    data = bytearray((folder / "model.safetensors").read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    damaged = tmp_path_factory.mktemp("damaged")
    (damaged / "model.safetensors").write_bytes(data[: int(len(data) * cut)])
    try:
        found = read_safetensors_folder(damaged)
    except UserError as error:
        assert str(damaged) in str(error)
    else:
        assert all(tensor.data.nbytes == tensor.nbytes for tensor in found.tensors.values())


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff", '{"a": 1'])
def test_broken_json_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match="JSON"):
        read_json(path)


def test_an_index_without_a_map_is_named(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"metadata": {}}')
    with pytest.raises(UserError, match="no “weight_map”"):
        read_safetensors_folder(tmp_path)

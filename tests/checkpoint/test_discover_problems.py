"""What could not be loaded is listed with the reason, and hides nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import msgspec
import pytest

from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.discover import discover
from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from tests.checkpoint.found import COMMIT, by_name, only


def test_pickles(models, put_checkpoint):
    folder = put_checkpoint(models / "old")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = only()
    assert found.problem is not None
    assert "can run code" in found.problem
    assert found.file_bytes > 0


def test_pickles_without_a_configuration(models):
    (models / "old").mkdir(parents=True)
    (models / "old" / "pytorch_model-00001-of-00002.bin").write_bytes(b"pickle")
    assert "can run code" in only().problem


def test_an_adapter(models):
    (models / "lora").mkdir(parents=True)
    (models / "lora" / "adapter_config.json").write_text("{}")
    assert "adapter" in only().problem


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_something_missing(models, put_checkpoint, file):
    (put_checkpoint(models / "tiny") / file).unlink()
    assert "missing" in only().problem


def test_a_missing_shard(models, put_checkpoint):
    folder = put_checkpoint(models / "tiny")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    shards = {f"tensor{number}": f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert only().problem == "2 of its 3 weight files are missing."


@pytest.mark.parametrize(
    "index",
    ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 5}}', "[" * 100_000],
    ids=["empty", "list", "object", "no files", "odd files", "deep"],
)
def test_a_damaged_index(models, put_checkpoint, index):
    folder = put_checkpoint(models / "tiny")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    (folder / "model.safetensors.index.json").write_text(index)
    assert "cannot be read" in only().problem


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "mixtral", "num_local_experts": 8}, "mixture of experts"),
        ({"model_type": "mamba"}, "mamba"),
        ({"model_type": "bert"}, "bert"),
        ({"model_type": "\x1b[31mred"}, "red"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"num_hidden_layers": 10**12}, ""),
    ],
)
def test_an_architecture_that_does_not_load(models, put_checkpoint, config, says):
    put_checkpoint(models / "other", **config)
    found = only()
    assert found.problem is not None
    assert says in found.problem
    assert "\x1b" not in found.problem


def test_one_bad_file_does_not_hide_the_others(models, put_checkpoint, monkeypatch):
    put_checkpoint(models / "a")
    put_checkpoint(models / "b")

    def stumble(path, **options):
        if Path(path).name == "a":
            raise ZeroDivisionError("nobody thought of this")
        return open_checkpoint(path, **options)

    monkeypatch.setattr("chatterm.checkpoint.discover.open_checkpoint", stumble)
    found = by_name()
    assert found["a"].problem == "It cannot be read (ZeroDivisionError)."
    assert found["b"].problem is None


def test_a_truncated_gguf_file(models, default_model_path):
    models.mkdir()
    with default_model_path.open("rb") as whole:
        (models / "cut.gguf").write_bytes(whole.read(5_000_000))
    (models / "empty.gguf").touch()
    (models / "text.gguf").write_text("not a model")
    found = by_name()
    assert sorted(found) == ["cut", "empty", "text"]
    assert all(checkpoint.problem for checkpoint in found.values())


@pytest.mark.parametrize("ending", [".part", ".incomplete", ".crdownload"])
def test_an_unfinished_download(models, ending):
    models.mkdir()
    (models / f"tiny.gguf{ending}").write_bytes(b"GGUF")
    found = only()
    assert (found.name, found.problem) == ("tiny", "Its download is not finished.")


def test_a_split_file(models, put_gguf):
    for number in (1, 2, 3):
        put_gguf(models / "whole" / f"a-0000{number}-of-00003.gguf", split=(number - 1, 3))
    put_gguf(models / "parts" / "b-00002-of-00003.gguf", split=(1, 3))
    put_gguf(models / "parts" / "b-00003-of-00003.gguf", split=(2, 3))
    put_gguf(models / "joined" / "c-00001-of-00003.gguf")
    put_gguf(models / "joined" / "d-00002-of-00003.gguf", split=(0, 1))
    found = by_name()
    assert sorted(found) == ["a", "b", "c", "d"]
    assert found["c"].problem is None and found["d"].problem is None
    assert found["a"].path.endswith("a-00001-of-00003.gguf")
    assert found["b"].problem == "1 of its 3 parts are missing."


def test_a_link_to_nothing(models):
    models.mkdir()
    (models / "gone.gguf").symlink_to(models / "nowhere")
    assert "link" in only().problem


def test_an_interrupted_hub_download(put_in_hub_cache):
    put_in_hub_cache("organisation/tiny", COMMIT, leave_out="model.safetensors")
    found = only()
    assert (found.name, found.problem) == ("organisation/tiny", "Its download is not finished.")


def test_a_hub_download_that_has_hardly_begun(models, tmp_path):
    blobs = tmp_path / "home/.cache/huggingface/hub/models--organisation--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc.incomplete").write_bytes(b"1")
    assert only().problem == "Its download is not finished."


def test_gguf_files_in_the_hub_cache(models, put_gguf, tmp_path):
    snapshot = tmp_path / "home/.cache/huggingface/hub/models--organisation--tiny-GGUF/snapshots" / COMMIT
    path = put_gguf(snapshot / "tiny-Q4_1.gguf")
    found = only()
    assert (found.name, found.source, found.problem) == ("tiny-Q4_1", "Hugging Face cache", None)
    assert locate("organisation/tiny-GGUF:q4_1") == path


def test_describing_what_does_not_load(models, put_checkpoint):
    with pytest.raises(UserError, match="mixtral"):
        describe(put_checkpoint(models / "moe", model_type="mixtral"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_no_text_hides_nothing_else(models, put_gguf):
    put_gguf(models / "fine.gguf")
    put_gguf(models / "sound.gguf").rename(models / os.fsdecode(b"\xff\xfe.gguf"))
    fine, odd = discover()
    assert fine.problem is None
    assert odd.problem == "Its name is not UTF-8 text; give it another one."
    assert msgspec.msgpack.encode(odd)

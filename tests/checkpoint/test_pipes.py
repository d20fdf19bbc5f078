"""A pipe in place of a file is told in a sentence and not waited for: nobody may ever write into it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chatterm import paths, presets, quoting, settings
from chatterm.checkpoint import sources
from chatterm.checkpoint.discover import discover
from chatterm.checkpoint.fetch.keeping import verify
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.receipts import KeptFile, Receipt, receipts, write_receipt
from chatterm.checkpoint.fetch.transfer import RemoteFile, is_intact
from chatterm.checkpoint.fetch.unfinished import unfinished
from chatterm.checkpoint.files import read_bytes
from chatterm.checkpoint.folders import folder_problem
from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.safetensors_folder import read_safetensors_folder
from chatterm.checkpoint.template import template_in_folder
from chatterm.checkpoint.tokenizer.folder import tokenizer_from_folder
from chatterm.engine.speed import bandwidth
from chatterm.errors import UserError
from chatterm.library.imports import read_file
from chatterm.tui.layout import Layout, load_layout
from tests.faults import specimens

pytestmark = pytest.mark.timeout(30)


def pipe(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


# --- a checkpoint's files -------------------------------------------------------------------------------


def test_an_index_of_weights(models: Path, put_checkpoint: Callable[[Path], Path]) -> None:
    folder = put_checkpoint(models / "tiny")
    (folder / "model.safetensors").unlink()
    pipe(folder / "model.safetensors.index.json")
    (found,) = discover()
    assert found.problem == "Model.safetensors.index.json cannot be read."
    with pytest.raises(UserError):
        locate("organisation/tiny")


def test_an_index_of_weights_is_not_read_through_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "a.safetensors"):
        (folder / name).touch()
    (tmp_path / "index").write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    index = folder / "model.safetensors.index.json"
    index.write_bytes((tmp_path / "index").read_bytes())
    assert folder_problem(folder) is None
    index.unlink()
    index.symlink_to(tmp_path / "index")
    assert folder_problem(folder) == "model.safetensors.index.json cannot be read"


NAMES = (
    *("config.json", "model.safetensors", "model.safetensors.index.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json"),
    *("additional_chat_templates/default.jinja", "LICENSE"),
)


@pytest.mark.parametrize("is_seen_late", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_any_file_of_a_folder(
    models: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_seen_late: bool
) -> None:
    """`is_seen_late`: it becomes a pipe after it was looked at."""
    folder = specimens.folder(models / "tiny")
    if name in ("tokenizer.model", "vocab.json", "merges.txt"):
        (folder / "tokenizer.json").unlink()
    if name == "merges.txt":
        (folder / "vocab.json").write_text('{"a": 0}')
    if name.startswith("additional"):
        (folder / "chat_template.jinja").unlink()
    pipe(folder / name)
    if is_seen_late:
        monkeypatch.setattr(Path, "is_file", lambda self: self.exists())
    assert len(discover()) == 1
    for look in (open_checkpoint, tokenizer_from_folder, template_in_folder):
        try:
            look(folder)
        except UserError as error:
            assert "\n" not in error.sentence


def test_files_of_weights(tmp_path: Path, models: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read: Not a regular file"):
        read_gguf(pipe(tmp_path / "a.gguf"))
    pipe(tmp_path / "part-00001-of-00002.gguf")
    pipe(tmp_path / "part-00002-of-00002.gguf")
    with pytest.raises(UserError, match="Not a regular file"):
        read_gguf(tmp_path / "part-00001-of-00002.gguf")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        open_checkpoint(tmp_path / "a.gguf")
    pipe(models / "b.gguf")
    (found,) = discover()
    assert found.problem is not None and "neither a file nor a folder" in found.problem


def test_weights_that_become_a_pipe_before_they_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = specimens.folder(tmp_path / "model")
    pipe(folder / "model.safetensors")
    monkeypatch.setattr(Path, "is_file", lambda self: self.name == "model.safetensors")
    with pytest.raises(UserError, match=r"cannot be read: Not a regular file"):
        read_safetensors_folder(folder)


def test_a_device_is_not_read_either(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"cannot be read: Not a regular file"):
        read_bytes(tmp_path / "config.json", 10)


# --- what is kept beside checkpoints, by chatterm and by others -----------------------------------------


def test_a_reference_in_the_hugging_face_cache(models: Path, put_in_hub_cache: Callable[..., Path]) -> None:
    snapshot = put_in_hub_cache("a/b", "a" * 40)
    pipe(snapshot.parents[1] / "refs" / "main")
    assert locate("a/b") == snapshot
    assert [found.name for found in discover()] == ["a/b"]


def test_a_manifest_of_ollama(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    pipe(tmp_path / "ollama" / "manifests" / "registry.ollama.ai" / "library" / "a" / "latest")
    (found,) = sources.in_ollama()
    assert found.problem == "its manifest cannot be read"


def test_receipts_notes_and_what_is_remembered(models: Path, put_gguf: Callable[[Path], Path]) -> None:
    path = put_gguf(models / "a.gguf")
    write_receipt(models, path, Receipt("a", "hub", (KeptFile("a.gguf", 0, ()),)))
    (receipt,) = (models / ".receipts").iterdir()
    pipe(receipt)
    pipe(models / ".unfinished" / "b.json")
    (models / ".unfinished" / "b").mkdir()
    (models / ".unfinished" / "b" / "x.part").write_bytes(b"x")
    pipe(paths.cache_folder() / "discovered.msgpack")
    pipe(paths.cache_folder() / "tuning.json")
    assert [found.is_ours for found in discover()] == [False]
    assert receipts(models) == {}
    assert [one.name for one in unfinished(models)] == [""]
    assert bandwidth()[0] is None


def test_a_file_that_is_verified(models: Path, put_gguf: Callable[[Path], Path]) -> None:
    path = put_gguf(models / "a.gguf")
    write_receipt(models, path, Receipt("a", "hub", (KeptFile("a.gguf", 0, ()),)))
    pipe(path)
    assert verify(path, Meter()).problems == ("a.gguf cannot be read (Not a regular file).",)
    with pytest.raises(OSError, match="Not a regular file"):
        is_intact(path, RemoteFile("a.gguf", "", 0, ()), Meter())


# --- what a person names, and what they keep ------------------------------------------------------------


def test_files_that_are_quoted_and_imported(tmp_path: Path) -> None:
    pipe(tmp_path / "pipe")
    for read in (quoting.read_file, read_file):
        with pytest.raises(UserError, match=r"cannot be read \(Not a regular file\)"):
            read(tmp_path / "pipe")


def test_settings_presets_and_the_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))
    pipe(settings.settings_file())
    with pytest.raises(UserError, match="Not a regular file"):
        settings.load_settings()
    with pytest.raises(UserError, match="Not a regular file"):
        settings.save_setting("theme", "x")
    pipe(tmp_path / "presets" / "mine.toml")
    assert "Not a regular file" in presets.load_presets().problems[0]
    assert load_layout(pipe(tmp_path / "layout.json")) == Layout()


def test_nothing_is_written_into_one(tmp_path: Path) -> None:
    name = pipe(tmp_path / "log")
    for mode in ("ab", "wb"):
        with pytest.raises(OSError, match="log"):
            open(name, mode, opener=paths.private_opener)  # noqa: SIM115 - it does not open

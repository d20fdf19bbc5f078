"""The files of a checkpoint folder stay inside it, whoever reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from chatterm.checkpoint.discover import has_chat_template
from chatterm.checkpoint.files import MAX_JSON_BYTES, inside, read_json, read_text
from chatterm.checkpoint.gguf import read_gguf, split_parts
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.template import template_in_folder
from chatterm.checkpoint.tokenizer.folder import tokenizer_from_folder
from chatterm.errors import UserError
from tests.checkpoint.written_gguf import write_gguf
from tests.faults import specimens


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return specimens.folder(tmp_path / "model")


def lead_out(file: Path) -> None:
    """Make a file of a folder a link to the same file elsewhere."""
    outside = file.parents[1] / "outside"
    outside.mkdir(exist_ok=True)
    file.rename(outside / file.name)
    file.symlink_to(outside / file.name)


@pytest.mark.parametrize(
    "name",
    ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"],
)
def test_no_file_is_read_through_a_link_out_of_the_folder(folder: Path, name: str) -> None:
    lead_out(folder / name)
    with pytest.raises(UserError, match="a link out of its folder"):
        open_checkpoint(folder)
        tokenizer_from_folder(folder)
        template_in_folder(folder)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
def test_nor_are_the_side_files_of_a_tokenizer(folder: Path, name: str) -> None:
    lead_out(folder / name)
    with pytest.raises(UserError, match="a link out of its folder"):
        tokenizer_from_folder(folder)


def test_nor_a_folder_of_templates(folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "default.jinja").write_text("secret")
    (folder / "additional_chat_templates").symlink_to(elsewhere)
    with pytest.raises(UserError, match="a link out of its folder"):
        template_in_folder(folder)


def test_the_links_of_a_hugging_face_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    (snapshot / "additional_chat_templates").mkdir(parents=True)
    (folder / "additional_chat_templates").mkdir()
    (folder / "chat_template.jinja").rename(folder / "additional_chat_templates" / "default.jinja")
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        link = snapshot / file.relative_to(folder)
        up = "../" * len(link.relative_to(tmp_path / "models--a--b").parent.parts)
        link.symlink_to(f"{up}blobs/{file.name}")
        file.rename(blobs / file.name)
    checkpoint = open_checkpoint(snapshot)
    assert checkpoint.name == "a/b"
    assert tokenizer_from_folder(snapshot).encode("hello")
    found = template_in_folder(snapshot)
    assert found is not None and found.text == specimens.TEMPLATE
    assert has_chat_template(checkpoint)


def test_a_link_to_the_whole_folder_is_no_way_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(folder)
    assert open_checkpoint(tmp_path / "alias").parameters == open_checkpoint(folder).parameters


def test_the_parts_of_a_split_file_lie_together_or_are_linked_from_one_place(tmp_path: Path) -> None:
    home, links = tmp_path / "home", tmp_path / "links"
    home.mkdir()
    links.mkdir()
    parts = split_parts(home / "m-00001-of-00002.gguf")
    for number, part in enumerate(parts):
        write_gguf(part, split=(number, 2))
    whole = shutil.copyfile(parts[1], tmp_path / "part.gguf")
    for part in parts:
        (links / part.name).symlink_to(part)
    with pytest.raises(UserError, match="repeats the tensor"):  # both parts were read
        read_gguf(links / parts[0].name)
    (links / parts[1].name).unlink()
    (links / parts[1].name).symlink_to(whole)
    with pytest.raises(UserError, match="a link to another place"):
        read_gguf(links / parts[0].name)


def test_files_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b" " * (MAX_JSON_BYTES + 1))
    with pytest.raises(UserError, match="larger than any real file"):
        read_json(path)
    path.write_text(json.dumps({"a": [0] * 2_000_010}))
    with pytest.raises(UserError, match="more entries than any real one"):
        read_json(path)
    with pytest.raises(UserError, match="larger than any real file"):
        read_text(path, 10)


def test_a_folder_that_may_not_be_looked_into_is_a_sentence(tmp_path: Path, monkeypatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_checkpoint(tmp_path / "model")


def test_a_file_that_is_not_there_may_be_named(tmp_path: Path) -> None:
    assert inside(tmp_path, "config.json") == tmp_path / "config.json"
    assert inside(tmp_path, "more", "a.jinja") == tmp_path / "more" / "a.jinja"

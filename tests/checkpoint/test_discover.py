"""Everything on a machine that could be loaded, and the reason where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from chatterm.checkpoint import sources
from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.discover import discover
from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.open import open_checkpoint
from tests.checkpoint.found import COMMIT, by_name, only, put_ollama

# --- what loads -----------------------------------------------------------------------------------------


def test_nothing_there(models):
    assert discover() == []


def test_a_gguf_file(models, default_model_path):
    path = models / "deep" / "Mine.Q4_1.gguf"
    path.parent.mkdir(parents=True)
    path.symlink_to(default_model_path)
    found = only()
    assert found.memory_bytes is not None
    assert found.memory_bytes > 4 * 134_515_008
    assert found.step_bytes == 4 * 134_515_008, "its embedding is its unembedding"
    assert msgspec.structs.asdict(found) | {"memory_bytes": None, "step_bytes": None} == {
        "name": "Mine.Q4_1",
        "path": str(path),
        "source": "your models",
        "format": "gguf",
        "file_bytes": 98_362_432,
        "family": "llama",
        "parameters": 134_515_008,
        "quantisation": "Q4_1",
        "trained_context": 8192,
        "is_chat": True,
        "memory_bytes": None,
        "step_bytes": None,
        "is_ours": False,
        "licence": "apache-2.0",
        "problem": None,
    }


def test_a_folder(models, put_checkpoint):
    folder = put_checkpoint(models / "organisation" / "tiny")
    found = only()
    assert (found.name, found.path, found.source) == ("organisation/tiny", str(folder), "your models")
    assert (found.format, found.family, found.quantisation) == ("safetensors", "llama", "float32")
    assert (found.trained_context, found.is_chat, found.problem) == (64, False, None)
    assert found.file_bytes == (folder / "model.safetensors").stat().st_size
    assert found.parameters == 40 * 16 + 3 * 16 + 2 * 16 * 16 + 2 * 8 * 16 + 3 * 32 * 16


@pytest.mark.parametrize(
    ("file", "content", "chat"),
    [
        ("chat_template.jinja", "{{ messages }}", True),
        ("tokenizer_config.json", json.dumps({"chat_template": "{{ messages }}"}), True),
        (
            "tokenizer_config.json",
            json.dumps({"chat_template": [{"name": "default", "template": "x"}]}),
            True,
        ),
        ("additional_chat_templates/tools.jinja", "x", True),
        ("tokenizer_config.json", json.dumps({"model_max_length": 5}), False),
    ],
)
def test_a_chat_model_has_a_template(models, put_checkpoint, file, content, chat):
    folder = put_checkpoint(models / "tiny")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(content)
    assert only().is_chat is chat


def test_all_places_in_order(models, put_checkpoint, put_gguf, put_in_hub_cache, tmp_path, monkeypatch):
    clone, home = tmp_path / "clone", tmp_path / "home"
    monkeypatch.setattr("chatterm.checkpoint.folders.clone_models_folder", lambda: clone)
    put_checkpoint(clone / "one")
    put_checkpoint(models / "two")
    put_checkpoint(tmp_path / "extra" / "three")
    put_in_hub_cache("organisation/four", COMMIT)
    put_checkpoint(home / ".lmstudio" / "models" / "publisher" / "five")
    put_checkpoint(home / ".cache" / "lm-studio" / "models" / "publisher" / "six")
    assert [(found.name, found.source, found.problem) for found in discover([tmp_path / "extra"])] == [
        ("one", "models/", None),
        ("two", "your models", None),
        ("three", "extra folder", None),
        ("organisation/four", "Hugging Face cache", None),
        ("publisher/five", "LM Studio", None),
        ("publisher/six", "LM Studio", None),
    ]


def test_whatever_is_found_can_be_asked_for_by_name(
    models, put_checkpoint, put_gguf, put_in_hub_cache, tmp_path
):
    put_checkpoint(models / "organisation" / "tiny")
    put_gguf(models / "Mine.Q4_1.gguf")
    put_in_hub_cache("organisation/four", COMMIT)
    put_ollama(tmp_path / "home" / ".ollama" / "models", "library/tiny/latest", put_gguf)
    found = discover()
    assert len(found) == 4
    assert [str(locate(checkpoint.name)) for checkpoint in found] == [checkpoint.path for checkpoint in found]


def test_it_says_the_licence_that_it_states(models, put_checkpoint, put_gguf):
    put_gguf(models / "Mine.gguf", "apache\x1b[31m-2.0", "https://l")
    assert "apache" in only().licence and "\x1b" not in only().licence
    assert only().licence.endswith(" · https://l")
    (models / "Mine.gguf").unlink()
    put_checkpoint(models / "other")
    assert only().licence == ""
    (models / "other" / "LICENSE.md").write_text("Do what you like.")
    assert only().licence == str(models / "other" / "LICENSE.md")


def test_the_same_file_twice_is_listed_once(models, put_checkpoint, tmp_path):
    folder = put_checkpoint(models / "tiny")
    (models / "again").symlink_to(folder)
    (tmp_path / "extra").symlink_to(models)
    assert only(tmp_path / "extra", models).path.startswith(str(models))


def test_links_in_a_circle_end(models, put_checkpoint):
    put_checkpoint(models / "a" / "b")
    (models / "a" / "b" / "c").symlink_to(models)
    (models / "self").symlink_to(models / "self")
    assert only().name in ("a/b", "a/b/c/a/b")


def test_a_walk_has_an_end(models, put_checkpoint, monkeypatch):
    deep = models.joinpath(*(str(level) for level in range(sources.MAX_DEPTH + 1)))
    put_checkpoint(deep)
    assert discover() == []
    monkeypatch.setattr(sources, "MAX_ENTRIES", 3)
    for number in range(10):
        put_checkpoint(models / "many" / f"model-{number}")
    assert discover() == []


def test_hidden_folders_are_left_alone(models, put_checkpoint):
    put_checkpoint(models / ".unfinished" / "tiny")
    assert discover() == []


# --- what was seen before -------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch):
    """The names of what discovery opens."""
    names: list[str] = []

    def count(path, **options):
        names.append(Path(path).name)
        return open_checkpoint(path, **options)

    monkeypatch.setattr("chatterm.checkpoint.discover.open_checkpoint", count)
    return names


def test_what_has_not_changed_is_not_opened_again(models, put_checkpoint, put_gguf, opened):
    put_checkpoint(models / "a")
    put_gguf(models / "b.gguf")
    first = discover()
    assert sorted(opened) == ["a", "b.gguf"]
    assert discover() == first
    assert len(opened) == 2


def test_what_has_changed_is_opened_again(models, put_checkpoint, put_gguf, opened):
    folder = put_checkpoint(models / "a")
    put_gguf(models / "b.gguf")
    discover()
    put_checkpoint(folder, max_position_embeddings=128)
    assert by_name()["a"].trained_context == 128
    assert opened[2:] == ["a"]


def test_what_became_damaged_says_so(models, put_checkpoint):
    folder = put_checkpoint(models / "a")
    assert only().problem is None
    (folder / "tokenizer.json").unlink()
    assert only().problem == "Its tokenizer is missing."


def test_what_does_not_load_is_looked_at_again(models, put_checkpoint, opened):
    put_checkpoint(models / "a", model_type="mixtral")
    discover()
    discover()
    assert opened == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"\xc1", b"not msgpack", b"\x92\xa0\x80"])
def test_a_damaged_memory_is_made_anew(models, put_checkpoint, opened, tmp_path, content):
    put_checkpoint(models / "a")
    first = discover()
    (tmp_path / "cache" / "discovered.msgpack").write_bytes(content)
    assert discover() == first
    assert len(opened) == 2


def test_without_a_place_for_the_memory(models, put_checkpoint, monkeypatch, tmp_path):
    put_checkpoint(models / "a")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHATTERM_CACHE", str(tmp_path / "file" / "cache"))
    assert only().problem is None


# --- Ollama ---------------------------------------------------------------------------------------------


# --- memory ---------------------------------------------------------------------------------------------


# --- one of them ----------------------------------------------------------------------------------------


def test_describing_one(default_model_path):
    found, details = describe(default_model_path)
    assert (found.name, found.parameters) == ("SmolLM2-135M-Instruct.Q4_1", 134_515_008)
    assert details["layers"] == 30
    assert details["vocabulary"] == 49_152
    assert details["positions"] == "rotary over 64, base 100000"
    assert details["window"] is None

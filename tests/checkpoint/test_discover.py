"""Everything on a machine that could be loaded, and the reason where it cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest

from chatterm.checkpoint import sources
from chatterm.checkpoint.describe import describe
from chatterm.checkpoint.discover import discover
from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.memory import RUNTIME_BYTES, available_memory, memory_needed
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError

A = "a" * 40


def by_name(*extra: Path):
    found = discover(extra)
    names = [checkpoint.name for checkpoint in found]
    assert len(names) == len(set(names))
    return dict(zip(names, found, strict=True))


def only(*extra: Path):
    (found,) = discover(extra)
    return found


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
    put_in_hub_cache("organisation/four", A)
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
    put_in_hub_cache("organisation/four", A)
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


# --- what does not --------------------------------------------------------------------------------------


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
        put_gguf(models / "whole" / f"a-0000{number}-of-00003.gguf")
    put_gguf(models / "parts" / "b-00002-of-00003.gguf")
    put_gguf(models / "parts" / "b-00003-of-00003.gguf")
    found = by_name()
    assert sorted(found) == ["a", "b"]
    assert found["a"].path.endswith("a-00001-of-00003.gguf")
    assert found["b"].problem == "1 of its 3 parts are missing."


def test_a_link_to_nothing(models):
    models.mkdir()
    (models / "gone.gguf").symlink_to(models / "nowhere")
    assert "link" in only().problem


def test_an_interrupted_hub_download(put_in_hub_cache):
    put_in_hub_cache("organisation/tiny", A, leave_out="model.safetensors")
    found = only()
    assert (found.name, found.problem) == ("organisation/tiny", "Its download is not finished.")


def test_a_hub_download_that_has_hardly_begun(models, tmp_path):
    blobs = tmp_path / "home/.cache/huggingface/hub/models--organisation--tiny/blobs"
    blobs.mkdir(parents=True)
    (blobs / "abc.incomplete").write_bytes(b"1")
    assert only().problem == "Its download is not finished."


def test_gguf_files_in_the_hub_cache(models, put_gguf, tmp_path):
    snapshot = tmp_path / "home/.cache/huggingface/hub/models--organisation--tiny-GGUF/snapshots" / A
    path = put_gguf(snapshot / "tiny-Q4_1.gguf")
    found = only()
    assert (found.name, found.source, found.problem) == ("tiny-Q4_1", "Hugging Face cache", None)
    assert locate("organisation/tiny-GGUF:q4_1") == path


# --- Ollama ---------------------------------------------------------------------------------------------


def put_ollama(store: Path, name: str, put_gguf, **layer: object) -> Path:
    digest = hashlib.sha256(name.encode()).hexdigest()
    blob = put_gguf(store / "blobs" / f"sha256-{digest}")
    model = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": blob.stat().st_size,
    }
    registry = "" if name.count("/") == 3 else "registry.ollama.ai/"
    manifest = store / "manifests" / f"{registry}{name}"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    template = {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:0", "size": 5}
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [template, model | layer]}))
    return manifest


def test_a_model_of_ollama(models, put_gguf, tmp_path):
    store = tmp_path / "home" / ".ollama" / "models"
    put_ollama(store, "library/smollm2/135m", put_gguf)
    put_ollama(store, "someone/else/latest", put_gguf)
    put_ollama(store, "hf.co/organisation/tiny/Q4_1", put_gguf)
    put_ollama(store, "example.org/library/tiny/latest", put_gguf)
    names = by_name()
    assert sorted(names) == [
        "example.org/tiny:latest",
        "organisation/tiny:Q4_1",
        "smollm2:135m",
        "someone/else:latest",
    ]
    found = names["smollm2:135m"]
    assert (found.source, found.family, found.parameters, found.problem) == (
        "Ollama",
        "llama",
        2992,
        None,
    )


def test_ollamas_folder_can_be_moved(models, put_gguf, tmp_path, monkeypatch):
    put_ollama(tmp_path / "elsewhere", "library/tiny/latest", put_gguf)
    assert discover() == []
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "elsewhere"))
    assert only().name == "tiny:latest"


def test_ollamas_service_has_a_folder_of_its_own(models, put_gguf, tmp_path):
    put_ollama(tmp_path / "service", "library/tiny/latest", put_gguf)
    assert only().name == "tiny:latest"


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"mediaType": "application/vnd.ollama.image.tensor"}, "not GGUF"),
        ({"digest": "sha256:" + "0" * 64}, "not finished"),
        ({"digest": "sha256:../../../../etc/passwd"}, "names no blob"),
        ({"digest": 5}, "names no blob"),
        ({"size": 5}, "size"),
    ],
)
def test_a_manifest_that_leads_nowhere(models, put_gguf, tmp_path, layer, says):
    put_ollama(tmp_path / "home" / ".ollama" / "models", "library/tiny/latest", put_gguf, **layer)
    assert says in only().problem


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "5", '{"layers": 5}', '{"layers": [5]}', "[" * 100_000, " " * 2_000_000],
    ids=["empty", "list", "number", "no layers", "odd layers", "deep", "large"],
)
def test_a_manifest_that_makes_no_sense(models, put_gguf, tmp_path, manifest):
    put_ollama(tmp_path / "home" / ".ollama" / "models", "library/tiny/latest", put_gguf).write_text(manifest)
    assert only().problem is not None


# --- memory ---------------------------------------------------------------------------------------------


def test_memory_grows_with_the_weights(default_model_path):
    checkpoint = open_checkpoint(default_model_path)
    exact, packed = memory_needed(checkpoint), memory_needed(checkpoint, packed=True)
    assert exact - packed == 4 * 134_515_008 - 98_362_432
    cache = 2 * 30 * 3 * 64 * 4096 * 4
    scores = 9 * 512 * 4096 * 4
    assert packed > 98_362_432 + cache + scores + RUNTIME_BYTES


def test_available_memory_is_what_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 << 30))
    assert available_memory(tmp_path) == 8 << 30
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert available_memory(tmp_path) == 8 << 30


def test_a_container_has_less(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 << 30))
    (tmp_path / "memory.max").write_text(f"{4 << 30}\n")
    (tmp_path / "memory.current").write_text(f"{3 << 30}\n")
    assert available_memory(tmp_path) == 1 << 30
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 29}\nactive_file {1 << 28}\n")
    assert available_memory(tmp_path) == (1 << 30) + (1 << 29) + (1 << 28)


# --- one of them ----------------------------------------------------------------------------------------


def test_describing_one(default_model_path):
    found, details = describe(default_model_path)
    assert (found.name, found.parameters) == ("SmolLM2-135M-Instruct.Q4_1", 134_515_008)
    assert details["layers"] == 30
    assert details["vocabulary"] == 49_152
    assert details["positions"] == "rotary over 64, base 100000"
    assert details["window"] is None


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

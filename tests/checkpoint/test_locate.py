"""From what a person calls a checkpoint to where it lies, without the network."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.checkpoint import sources
from chatterm.checkpoint.catalog import find_entry
from chatterm.checkpoint.locate import NotFoundError, locate
from chatterm.errors import UserError

A, B = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("locate went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# --- paths ----------------------------------------------------------------------------------------------


def test_a_gguf_file(models, put_gguf, tmp_path):
    path = put_gguf(tmp_path / "somewhere" / "model.gguf")
    assert locate(str(path)) == path


def test_a_relative_path(models, put_gguf, tmp_path, monkeypatch):
    path = put_gguf(tmp_path / "somewhere" / "model.gguf")
    monkeypatch.chdir(tmp_path)
    assert locate("somewhere/model.gguf") == path
    monkeypatch.chdir(path.parent)
    assert locate("model.gguf") == path


def test_a_path_in_the_home_folder(models, put_checkpoint, tmp_path):
    path = put_checkpoint(tmp_path / "home" / "mine")
    assert locate("~/mine") == path


def test_a_checkpoint_folder_and_the_weights_in_it(models, put_checkpoint, tmp_path):
    folder = put_checkpoint(tmp_path / "mine")
    assert locate(str(folder)) == folder
    assert locate(f"{folder}/") == folder
    assert locate(str(folder / "model.safetensors")) == folder


def test_a_folder_with_one_gguf_file(models, put_gguf, tmp_path):
    path = put_gguf(tmp_path / "mine" / "a.gguf")
    assert locate(str(tmp_path / "mine")) == path


def test_a_folder_with_several(models, put_gguf, tmp_path):
    put_gguf(tmp_path / "mine" / "a.gguf")
    put_gguf(tmp_path / "mine" / "b.gguf")
    with pytest.raises(NotFoundError, match=r"holds 2 models; name one of them: a\.gguf, b\.gguf"):
        locate(str(tmp_path / "mine"))


def test_the_parts_of_a_split_file_are_one_model(models, put_gguf, tmp_path):
    first = put_gguf(tmp_path / "mine" / "a-00001-of-00002.gguf", split=(0, 2))
    put_gguf(tmp_path / "mine" / "a-00002-of-00002.gguf", split=(1, 2))
    assert locate(str(tmp_path / "mine")) == first


def test_a_whole_file_that_kept_a_parts_name_is_a_model(models, put_gguf):
    whole = put_gguf(models / "organisation" / "name" / "m-Q4_K_M-00002-of-00003.gguf")
    assert locate("organisation/name") == locate("organisation/name:Q4_K_M") == whole
    assert locate(str(whole.parent)) == locate("m-Q4_K_M") == whole


def test_a_configuration_beside_gguf_files_is_no_checkpoint_of_its_own(models, put_gguf, tmp_path):
    file = put_gguf(models / "mine" / "a.gguf")
    (models / "mine" / "config.json").write_text("{}")
    assert locate(str(models / "mine")) == file
    assert [found.path for found in sources.candidates()] == [file]


def test_a_folder_without_any(models, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(NotFoundError, match="holds no checkpoint"):
        locate(str(tmp_path / "mine"))


@pytest.mark.parametrize("model", ["/nowhere/x", "./x", "../x", "~/x", "a/b.gguf", "a/b/c.gguf"])
def test_a_path_that_leads_nowhere(models, model):
    with pytest.raises(NotFoundError, match="There is no file or folder"):
        locate(model)


def test_an_empty_folder_that_happens_to_have_a_models_name(models, put_gguf, tmp_path, monkeypatch):
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    path = put_gguf(models / "gpt2.gguf")
    assert locate("gpt2") == path


# --- catalog names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "Default", "SMOLLM2-135M-INSTRUCT", "smollm2-135m"])
@pytest.mark.parametrize(
    "file",
    [
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2-135M-Instruct.gguf",
        "smollm2-135m-instruct-q8_0.gguf",
        "SmolLM2-135M-Instruct-UD-IQ4_XS.gguf",
        "SmolLM2-135M-Instruct_F16.gguf",
        "HuggingFaceTB/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct-Q4_K_M.gguf",
    ],
)
def test_a_catalog_name_finds_a_gguf_file_of_any_quantisation(models, put_gguf, name, file):
    path = put_gguf(models / file)
    os.truncate(path, 98_362_432)  # no smaller than the one that the catalog knows
    assert locate(name) == path


@pytest.mark.parametrize(
    "file", ["SmolLM2-135M-Instruct-v2.gguf", "SmolLM2-135M.gguf", "mySmolLM2-135M-Instruct.gguf"]
)
def test_but_not_another_model(models, put_gguf, file):
    put_gguf(models / file)
    with pytest.raises(NotFoundError):
        locate("default")


def test_gpt2_is_not_gpt2_medium(models, put_gguf):
    put_gguf(models / "gpt2-medium-Q4_0.gguf")
    with pytest.raises(NotFoundError, match="chatterm models get gpt2"):
        locate("gpt2")


def test_a_truncated_default_is_not_taken(models):
    models.mkdir()
    (models / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF" + b"\0" * 1000)
    with pytest.raises(NotFoundError):
        locate("default")


@pytest.mark.parametrize("place", ["Qwen3-0.6B", "Qwen/Qwen3-0.6B"])
@pytest.mark.parametrize("name", ["qwen3-0.6b", "Qwen/Qwen3-0.6B", "qwen/qwen3-0.6b"])
def test_a_catalog_name_finds_the_authors_folder(models, put_checkpoint, place, name):
    folder = put_checkpoint(models / place)
    assert locate(name) == folder


def test_a_folder_that_is_not_whole_is_not_taken(models, put_checkpoint):
    folder = put_checkpoint(models / "Qwen3-0.6B")
    for missing in ("model.safetensors", "tokenizer.json", "config.json"):
        content = (folder / missing).read_bytes()
        (folder / missing).unlink()
        with pytest.raises(NotFoundError):
            locate("Qwen3-0.6B")
        (folder / missing).write_bytes(content)
    assert locate("Qwen3-0.6B") == folder


def test_the_order_of_places(models, put_checkpoint, put_in_hub_cache, tmp_path, monkeypatch):
    clone = tmp_path / "clone"
    monkeypatch.setattr("chatterm.checkpoint.folders.clone_models_folder", lambda: clone)
    extra = tmp_path / "extra"
    places = [
        put_in_hub_cache("Qwen/Qwen3-0.6B", A),
        put_checkpoint(extra / "Qwen3-0.6B"),
        put_checkpoint(models / "Qwen3-0.6B"),
        put_checkpoint(clone / "Qwen3-0.6B"),
    ]
    while places:
        assert locate("Qwen3-0.6B", [extra]) == places[-1]
        (places.pop() / "config.json").unlink()


# --- the Hugging Face cache -----------------------------------------------------------------------------


def test_a_hub_id_in_the_cache(put_in_hub_cache):
    snapshot = put_in_hub_cache("organisation/model", A)
    assert locate("organisation/model") == snapshot


def test_todays_main_before_older_ones_and_the_pinned_before_both(put_in_hub_cache):
    put_in_hub_cache("Qwen/Qwen3-0.6B", B, ref=None)
    main = put_in_hub_cache("Qwen/Qwen3-0.6B", A)
    assert locate("Qwen/Qwen3-0.6B") == main
    pinned = put_in_hub_cache("Qwen/Qwen3-0.6B", find_entry("Qwen3-0.6B").hub.revision, ref=None)
    assert locate("Qwen/Qwen3-0.6B") == pinned


def test_an_interrupted_snapshot_is_passed_over(put_in_hub_cache):
    older = put_in_hub_cache("organisation/model", B, ref=None)
    put_in_hub_cache("organisation/model", A, leave_out="model.safetensors")
    assert locate("organisation/model") == older


def test_only_an_interrupted_snapshot(put_in_hub_cache):
    put_in_hub_cache("organisation/model", A, leave_out="model.safetensors")
    with pytest.raises(NotFoundError, match="organisation/model is on this machine but cannot be loaded"):
        locate("organisation/model")


def test_the_name_that_a_repository_had(put_in_hub_cache):
    snapshot = put_in_hub_cache("gpt2", A)
    assert locate("gpt2") == locate("openai-community/gpt2") == snapshot


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"])
def test_a_cache_that_was_moved(put_in_hub_cache, monkeypatch, tmp_path, variable):
    put_in_hub_cache("organisation/model", A)
    moved = tmp_path / "moved"
    inside = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}.get(variable, "")
    (moved / inside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "home" / ".cache" / "huggingface" / "hub").rename(moved / inside)
    with pytest.raises(NotFoundError):
        locate("organisation/model")
    monkeypatch.setenv(variable, str(moved))
    assert locate("organisation/model") == moved / inside / "models--organisation--model" / "snapshots" / A


# --- names of what was found ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["My-Model.Q8_0", "my-model.q8_0", "My-Model.Q8_0.gguf"])
def test_the_name_of_a_file(models, put_gguf, name):
    path = put_gguf(models / "deep" / "My-Model.Q8_0.gguf")
    assert locate(name) == path


def test_the_name_of_a_folder(models, put_checkpoint):
    folder = put_checkpoint(models / "mine" / "tiny")
    assert locate("tiny") == locate("mine/tiny") == folder


def test_a_file_of_a_gguf_repository(models, put_gguf):
    small = put_gguf(models / "organisation" / "tiny-GGUF" / "tiny-Q4_K_M.gguf")
    large = put_gguf(models / "organisation" / "tiny-GGUF" / "tiny-Q8_0.gguf")
    assert locate("organisation/tiny-GGUF:q8_0") == large
    assert locate("organisation/tiny-GGUF:tiny-Q4_K_M.gguf") == small
    with pytest.raises(NotFoundError):
        locate("organisation/tiny-GGUF:Q2_K")


# --- nothing there --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("", "No model was named"),
        ("  ", "No model was named"),
        (
            "default",
            "SmolLM2-135M-Instruct is not on this machine yet; get it with `chatterm models get SmolLM2-135M",
        ),
        ("smolm2-135m", "did you mean SmolLM2-135M-Instruct"),
        ("qwen3-06b", r"did you mean Qwen3-0\.6B"),
        ("organisation/model", "get it from the hub with `chatterm models get organisation/model`"),
        ("xyzzy", "No model is called xyzzy; `chatterm models list` shows what there is"),
    ],
)
def test_the_sentence(models, model, says):
    with pytest.raises(NotFoundError, match=says):
        locate(model)


def test_close_names_include_what_was_found(models, put_gguf):
    put_gguf(models / "Grandmother.gguf")
    with pytest.raises(NotFoundError, match="did you mean Grandmother"):
        locate("grandmotha")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=50).map(os.fsdecode))
def test_any_text_gives_a_path_or_a_printable_sentence(models, tmp_path, text):
    try:
        path = locate(text)
    except UserError as error:
        assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in error.sentence)
    else:
        assert path.exists()

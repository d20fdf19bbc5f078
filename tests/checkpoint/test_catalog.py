"""The catalog that ships, and what is refused as one."""

from __future__ import annotations

import re
import tomllib

import pytest

from chatterm.checkpoint.catalog import catalog, catalog_path, find_entry, read_catalog
from chatterm.paths import clone_models_folder

ENTRY = """
[[model]]
name = "{name}"
title = "A"
description = "A model."
kind = "chat"
family = "llama"
parameters = 5
context = 8
licence = "MIT"
licence_url = "https://example.org"
[model.hub]
repository = "{repository}"
"""


def parameters_of(
    vocabulary, width, layers, heads, kv_heads, head, inner, *, qk_norm=False, norms=2, tied=True
):
    """Weights of a gated decoder without biases."""
    attention = width * head * (2 * heads + 2 * kv_heads) + (2 * head if qk_norm else 0)
    block = attention + 3 * width * inner + norms * width
    return vocabulary * width * (1 if tied else 2) + layers * block + width


def parameters_of_gpt2(vocabulary, positions, width, layers, *, tied=True):
    block = 12 * width * width + 13 * width
    return vocabulary * width * (1 if tied else 2) + positions * width + layers * block + 2 * width


# shapes from each model's published configuration
SHAPES = {
    "SmolLM2-135M-Instruct": parameters_of(49152, 576, 30, 9, 3, 64, 1536),
    "SmolLM2-360M-Instruct": parameters_of(49152, 960, 32, 15, 5, 64, 2560),
    "SmolLM2-1.7B-Instruct": parameters_of(49152, 2048, 24, 32, 32, 64, 8192),
    "Qwen3-0.6B": parameters_of(151936, 1024, 28, 16, 8, 128, 3072, qk_norm=True),
    "Qwen3-1.7B": parameters_of(151936, 2048, 28, 16, 8, 128, 6144, qk_norm=True),
    "Llama-3.2-1B-Instruct": parameters_of(128256, 2048, 16, 32, 8, 64, 8192),
    "gemma-3-1b-it": parameters_of(262144, 1152, 26, 4, 1, 256, 6912, qk_norm=True, norms=4),
    "gpt2": parameters_of_gpt2(50257, 1024, 768, 12),
    "pythia-160m": parameters_of_gpt2(50304, 0, 768, 12, tied=False),
}


def test_the_default_comes_first_and_has_a_wheel():
    first = catalog()[0]
    assert first is find_entry("default")
    assert first.name == "SmolLM2-135M-Instruct"
    assert first.wheel is not None
    assert first.wheel.file_name == "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_parameters_follow_from_the_shapes():
    assert {entry.name: entry.parameters for entry in catalog()} == SHAPES


@pytest.mark.parametrize("entry", catalog(), ids=lambda entry: entry.name)
def test_every_entry_can_be_verified(entry):
    files = {file.path: file for file in entry.hub.files}
    weights = [file for file in files.values() if file.path.endswith(".safetensors")]
    assert re.fullmatch("[0-9a-f]{40}", entry.hub.revision), "what is pinned is a commit"
    assert weights
    assert all(file.sha256 and file.bytes for file in weights)
    assert {"config.json", "tokenizer.json"} <= set(files)
    assert entry.hub.bytes is not None
    # stored in 2 or 4 bytes each; Qwen3 stores its tied output matrix a second time
    assert 2 <= sum(file.bytes for file in weights) / entry.parameters < 4.5
    assert entry.licence_url.startswith("https://")
    assert 20 < len(entry.description) < 250


def test_gated_ones_say_so():
    assert {entry.name for entry in catalog() if entry.hub.gated} == {
        "Llama-3.2-1B-Instruct",
        "gemma-3-1b-it",
    }
    for entry in catalog():
        assert ("accepted on the hub" in entry.description) == entry.hub.gated


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("DEFAULT", "SmolLM2-135M-Instruct"),
        ("smollm2-135M", "SmolLM2-135M-Instruct"),
        ("qwen3-0.6b", "Qwen3-0.6B"),
        ("Qwen/Qwen3-0.6B", "Qwen3-0.6B"),
        ("openai-community/gpt2", "gpt2"),
        ("GPT2", "gpt2"),
        ("pythia", "pythia-160m"),
    ],
)
def test_names_aliases_and_repositories(name, found):
    assert find_entry(name).name == found


@pytest.mark.parametrize("name", ["", "gpt", "qwen", "default.gguf", "org/default"])
def test_nothing_else_is_found(name):
    assert find_entry(name) is None


def test_an_installed_wheel_carries_it_beside_the_module(monkeypatch):
    monkeypatch.setattr("chatterm.checkpoint.catalog.clone_models_folder", lambda: None)
    installed = catalog_path()
    root = clone_models_folder().parent
    included = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    source, target = next(iter(included["force-include"].items()))
    assert installed == root / target
    assert (root / source) == clone_models_folder() / "catalog.toml"


def write(tmp_path, *entries, version=1):
    path = tmp_path / "catalog.toml"
    path.write_text(f"version = {version}\n" + "".join(entries))
    return path


def test_a_catalog_of_ones_own(tmp_path):
    path = write(tmp_path, ENTRY.format(name="a", repository="o/a"), ENTRY.format(name="b", repository="o/b"))
    assert [entry.name for entry in read_catalog(path)] == ["a", "b"]
    assert read_catalog(path)[0].hub.bytes is None


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\nmodel = []",
        "version = 1\nmodel = 5",
        "version = 1\nmodel = [{name = 'a'}]",
        "not toml",
        "version = 1\n" + ENTRY.format(name="a", repository="o/a") + 'colour = "blue"',
        "version = 1\n" + ENTRY.format(name="a", repository="o/a") + 'files = [{path = "x", sha256 = "abc"}]',
        "version = 1\n" + ENTRY.format(name="a", repository="o/a") + ENTRY.format(name="A", repository="o/b"),
        "version = 1\n" + ENTRY.format(name="a", repository="o/a") + ENTRY.format(name="b", repository="O/A"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path, text):
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    with pytest.raises(ValueError):
        read_catalog(path)

"""Models that Ollama keeps, and manifests that make no sense."""

from __future__ import annotations

import pytest

from chatterm.checkpoint.discover import discover
from tests.checkpoint.found import by_name, only, put_ollama


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

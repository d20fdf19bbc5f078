"""Which weights are taken, where a folder leaves it open: those that transformers takes.

Two models of the same shape with different numbers, A and B, lie in folders in all the ways in which they
do in life; what transformers computes says which of them it loaded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES, Case
from benchmarks.parity.gguf_files import write_gguf
from chatterm.checkpoint.families import FAMILIES
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.errors import UserError
from chatterm.model.load import load_decoder

Weights = dict[str, Tensor]
TOKENS = reference.text()[:6]
HEADS = {"gpt_neox": "embed_out.weight"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, quiet_transformers) -> Callable[[str], Path]:
    """A folder with the model of the first untied case of a family, or of a family's first case."""
    known: dict[str, Path] = {}

    def make(family: str, seed: int = 0) -> Path:
        key = f"{family}{seed}"
        if key not in known:
            cases = [case for case in CASES if case.family == family and case.dtype == "float32"]
            plain = Case(family, "plain", cases[0].config, rope=cases[0].rope)
            known[key] = tmp_path_factory.mktemp("made") / "model"
            reference.save(plain, reference.make_model(plain, seed), known[key])
        return known[key]

    return make


@pytest.fixture
def a(made) -> Weights:
    return load_file(made("llama") / "model.safetensors")


@pytest.fixture
def b(made) -> Weights:
    return load_file(made("llama", 1) / "model.safetensors")


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """With a configuration and no weights."""
    shutil.copytree(made("llama"), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    return tmp_path / "model"


def put(weights: Weights, path: Path) -> None:
    save_file({name: weight.clone() for name, weight in weights.items()}, path, {"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    """None takes a key away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def put_shards(
    weights: Weights, folder: Path, count: int = 2, index: str = "model.safetensors.index.json"
) -> None:
    places = {}
    for number in range(count):
        file = f"model-{number + 1:05}-of-{count:05}.safetensors"
        part = {name: weights[name] for name in sorted(weights)[number::count]}
        put(part, folder / file)
        places |= dict.fromkeys(part, file)
    if index:
        (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def ours(folder: Path) -> tuple[Tensor, Checkpoint]:
    checkpoint = open_checkpoint(folder)
    decoder = load_decoder(checkpoint, threads=0)
    with torch.no_grad():
        logits = decoder(TOKENS, decoder.new_cache(len(TOKENS)), last_only=False)
    return logits.log_softmax(-1), checkpoint


def agrees(folder: Path) -> Checkpoint:
    got, checkpoint = ours(folder)
    expected = reference.logprobs(reference.load(folder), TOKENS)
    assert (got - expected).abs().max() < 1e-4
    return checkpoint


# --- the output matrix ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted({case.family for case in CASES}))
def test_an_output_matrix_of_its_own_is_used_though_the_configuration_says_tied(made, tmp_path, family):
    folder = tmp_path / "merged"
    shutil.copytree(made(family), folder)
    configure(folder, tie_word_embeddings=True)
    path = folder / "model.safetensors"
    weights = load_file(path)
    embedding = next(
        name
        for name in weights
        if name.endswith(("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight"))
    )
    head = HEADS.get(family, "lm_head.weight")
    torch.manual_seed(3)
    weights[head] = weights[embedding] + 0.1 * torch.randn_like(weights[embedding])
    put(weights, path)
    checkpoint = agrees(folder)
    assert not checkpoint.architecture.tied
    assert any("holds another one, which is used" in notice for notice in checkpoint.notices)


def test_the_table_has_every_family():
    assert {case.family for case in CASES} >= {family.model_types[0] for family in FAMILIES} - {"cohere2"}


@pytest.mark.parametrize("head", ["equal", "other", "one row other", "missing"])
@pytest.mark.parametrize("tied", [True, False, None])
def test_tying_goes_by_what_is_there_as_in_transformers(folder, a, tied, head):
    embedding = a["model.embed_tokens.weight"]
    if head == "missing":
        del a["lm_head.weight"]
    elif head != "other":
        a["lm_head.weight"] = embedding.clone()
        a["lm_head.weight"][-1, -1] += head == "one row other"
    put(a, folder / "model.safetensors")
    configure(folder, tie_word_embeddings=tied)
    if head == "missing" and not tied:  # transformers fills the matrix with random numbers
        with pytest.raises(UserError, match=r"lacks the tensor “lm_head\.weight”; it has no output matrix"):
            open_checkpoint(folder)
        return
    checkpoint = agrees(folder)
    assert checkpoint.architecture.tied == (head in ("equal", "missing"))
    assert ("unembedding.weight" in checkpoint.layout) != checkpoint.architecture.tied


def test_of_two_tied_matrices_either_may_be_the_one_that_is_there(folder, a):
    del a["model.embed_tokens.weight"]
    put(a, folder / "model.safetensors")
    configure(folder, tie_word_embeddings=True)
    assert agrees(folder).architecture.tied
    configure(folder, tie_word_embeddings=False)  # transformers fills the embedding with random numbers
    with pytest.raises(UserError, match=r"lacks the tensor “model\.embed_tokens\.weight”"):
        open_checkpoint(folder)


def test_two_matrices_in_different_shards_are_compared_too(folder, a):
    a["lm_head.weight"] = a["model.embed_tokens.weight"].clone()
    put_shards(a, folder, 3)
    assert agrees(folder).architecture.tied


# --- the set of files -----------------------------------------------------------------------------------


def _whole_and_shards(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    put_shards(b, folder)


def _whole_and_index(folder: Path, a: Weights, b: Weights) -> None:
    _whole_and_shards(folder, a, b)
    for shard in folder.glob("model-*"):
        shard.unlink()


def _whole_and_half_of_shards(folder: Path, a: Weights, b: Weights) -> None:
    _whole_and_shards(folder, a, b)
    (folder / "model-00001-of-00002.safetensors").unlink()


def _whole_and_broken_index(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text("{")


def _two_counts(folder: Path, a: Weights, b: Weights) -> None:
    put_shards(b, folder, 3)
    put_shards(a, folder, 2)


def _mistral(folder: Path, a: Weights, b: Weights) -> None:
    put_shards(a, folder)
    put({"tok_embeddings.weight": torch.zeros(2)}, folder / "consolidated.safetensors")


def _pickle(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    torch.save(b, folder / "pytorch_model.bin")


def _variant(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    put({name: weight.half() for name, weight in b.items()}, folder / "model.fp16.safetensors")


def _original(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    (folder / "original").mkdir()
    put(b, folder / "original" / "model.safetensors")


def _gguf(folder: Path, a: Weights, b: Weights) -> None:
    put(a, folder / "model.safetensors")
    (folder / "model.gguf").write_bytes(b"GGUF")


def _stated(folder: Path, a: Weights, b: Weights) -> None:
    put(b, folder / "model.safetensors")
    put(a, folder / "other.safetensors")
    configure(folder, transformers_weights="other.safetensors")


def _stated_index(folder: Path, a: Weights, b: Weights) -> None:
    put(b, folder / "model.safetensors")
    put_shards(a, folder, index="other.safetensors.index.json")
    configure(folder, transformers_weights="other.safetensors.index.json")


def _index_of_too_much(folder: Path, a: Weights, b: Weights) -> None:
    put_shards(a, folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["ghost.weight"] = "model-00001-of-00002.safetensors"
    del index["weight_map"]["model.norm.weight"]
    index["weight_map"]["lm_head.weight"] = index["weight_map"]["model.embed_tokens.weight"]
    path.write_text(json.dumps(index))


def _twice(folder: Path, a: Weights, b: Weights) -> None:
    put_shards(a, folder)
    path = folder / "model-00001-of-00002.safetensors"
    put(load_file(path) | {"model.norm.weight": b["model.norm.weight"]}, path)


DIFFER = [_whole_and_shards, _two_counts, _variant, _stated, _stated_index]
SILENT = [
    *(_whole_and_index, _whole_and_half_of_shards, _whole_and_broken_index, _mistral, _pickle, _original),
    *(_gguf, _index_of_too_much, _twice),
]


@pytest.mark.parametrize("lay", [*DIFFER, *SILENT], ids=lambda lay: lay.__name__.strip("_"))
def test_the_set_that_transformers_takes_is_taken_and_said_where_another_differs(folder, a, b, lay):
    if lay is _twice:
        assert sorted(a).index("model.norm.weight") % 2 == 1  # the index names the second file
    lay(folder, a, b)
    checkpoint = agrees(folder)
    said = [notice for notice in checkpoint.notices if "two sets of weights with different numbers" in notice]
    assert len(said) == (lay in DIFFER), checkpoint.notices


def test_two_sets_with_the_same_numbers_are_nothing_to_speak_of(folder, a):
    _whole_and_shards(folder, a, a)
    assert agrees(folder).notices == ()


def test_an_adapter_beside_the_model_is_not_applied_in_silence(folder, a):
    put(a, folder / "model.safetensors")
    put({"lora": torch.zeros(1)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    (notice,) = open_checkpoint(folder).notices
    assert "holds an adapter beside the whole model; it is not applied" in notice


def test_a_tensor_with_other_numbers_in_a_file_that_the_index_does_not_name_is_refused(folder, a, b):
    put_shards(a, folder)  # transformers takes that of the last file, which is not the one named
    path = folder / "model-00002-of-00002.safetensors"
    name = sorted(a)[0]
    put(load_file(path) | {name: b[name]}, path)
    with pytest.raises(UserError, match="in two files, with different numbers"):
        open_checkpoint(folder)


def test_shards_are_joined_without_an_index(folder, a):
    put_shards(a, folder, 3, index="")
    whole = folder.parent / "whole"
    whole.mkdir()
    shutil.copy(folder / "config.json", whole)
    put(a, whole / "model.safetensors")
    assert torch.equal(ours(folder)[0], ours(whole)[0])
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds 2 of 3 weight files.*and no model\.safetensors\.index\.json"):
        open_checkpoint(folder)


def test_of_two_sets_without_a_usual_name_none_is_guessed(folder, a, b):
    put(a, folder / "mine.safetensors")
    put(b, folder / "yours.safetensors")
    with pytest.raises(UserError, match=r"2 sets of weights.*mine\.safetensors, yours\.safetensors"):
        open_checkpoint(folder)


# --- GGUF -----------------------------------------------------------------------------------------------


def gguf_of(made, family: str, path: Path, head: str) -> Checkpoint:
    """A GGUF file whose output matrix is its embedding, another one, or not there."""
    model = reference.load(made(family))
    embedding = model.get_input_embeddings().weight.detach()
    model.config.tie_word_embeddings = head == "missing"
    matrix = embedding.clone() if head == "equal" else embedding + 0.1 * torch.randn_like(embedding)
    model.set_output_embeddings(torch.nn.Linear(1, 1, bias=False))
    model.get_output_embeddings().weight = torch.nn.Parameter(matrix, requires_grad=False)
    cases = [case for case in CASES if case.family == family]
    write_gguf(Case(family, "plain", cases[0].config, rope=cases[0].rope), model, path)
    checkpoint = open_checkpoint(path)
    if head == "other":
        decoder = load_decoder(checkpoint, threads=0)
        with torch.no_grad():
            logits = decoder(TOKENS, decoder.new_cache(len(TOKENS)), last_only=False)
        assert (logits.log_softmax(-1) - reference.logprobs(model, TOKENS)).abs().max() < 1e-4
    return checkpoint


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "falcon", "starcoder2", "olmo2"])
def test_in_a_gguf_file_too_the_output_matrix_decides(made, tmp_path, family):
    torch.manual_seed(4)
    assert not gguf_of(made, family, tmp_path / "other.gguf", "other").architecture.tied
    tied = gguf_of(made, family, tmp_path / "equal.gguf", "equal")
    assert tied.architecture.tied and "unembedding.weight" not in tied.layout
    if family == "olmo2":
        with pytest.raises(UserError, match=r"lacks the tensor “output\.weight”; it has no output matrix"):
            gguf_of(made, family, tmp_path / "bare.gguf", "missing")
    else:
        assert gguf_of(made, family, tmp_path / "tied.gguf", "missing").architecture.tied

"""The commands as a script uses them: the installed program, the real default model."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("default_model_path")]

TEXT = "The best thing about AI is its ability to"


def chatterm(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("chatterm")
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(
        [str(program), *arguments], **given, capture_output=True, text=True, check=False, timeout=120
    )


def document(*arguments: str, stdin: str | None = None) -> Any:
    result = chatterm(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_next_agrees_with_an_exact_computation(default_model_path: Path) -> None:
    import torch

    from chatterm.checkpoint.open import open_checkpoint
    from chatterm.model.load import load_decoder

    answer = document("next", "--json", "-k", "12", "-t", "0.5", TEXT)
    decoder = load_decoder(open_checkpoint(default_model_path), dtype=torch.float64)
    tokens = torch.tensor(answer["tokens"])
    logprobs = decoder(tokens, decoder.new_cache(len(tokens))).double().log_softmax(-1)
    values, ids = logprobs.topk(12)
    assert [row["id"] for row in answer["candidates"]] == ids.tolist()
    assert [row["logprob"] for row in answer["candidates"]] == pytest.approx(values.tolist(), abs=1e-4)
    assert answer["entropy"] == pytest.approx(float(-(logprobs.exp() * logprobs).sum()), abs=1e-3)
    for row in answer["candidates"]:
        assert row["p"] == pytest.approx(math.exp(row["logprob"]))
        assert row["kept"] == (row["sampled"] > 0)
    kept = [row for row in answer["candidates"] if row["kept"]]
    first, second = kept[:2]
    assert math.log(first["sampled"] / second["sampled"]) == pytest.approx(
        (first["logprob"] - second["logprob"]) / 0.5, abs=1e-3
    )


def test_ask_prints_the_reply_and_nothing_else() -> None:
    result = chatterm("ask", "-t", "0", "--max-tokens", "30", "What is the capital of France?")
    assert (result.returncode, result.stdout, result.stderr) == (0, "The capital of France is Paris.\n", "")


def test_ask_reads_a_pipe_and_prints_json() -> None:
    answer = document("ask", "--json", "-t", "0", "--max-tokens", "30", "-", stdin="What is 苹果? One word.")
    assert set(answer) == {"text", "finish", "tokens", "timing"}
    assert answer["finish"] in ("end", "length")
    assert "".join(token["text"] for token in answer["tokens"]) == answer["text"]
    for token in answer["tokens"]:
        assert set(token) == {"id", "text", "logprob", "rank", "entropy"}
        assert token["rank"] == 1 and token["logprob"] <= 0 <= token["entropy"]


def test_ask_takes_a_system_prompt_and_a_seed() -> None:
    arguments = ("ask", "--json", "-s", "You are a pirate.", "--seed", "5", "--max-tokens", "6", "Hello")
    first, second = document(*arguments), document(*arguments)
    assert first["tokens"] == second["tokens"]
    assert first["timing"]["prompt_tokens"] < 31, "the system prompt replaces the template's own"


def test_tokens_have_offsets() -> None:
    text = "Hello 苹果 🍎"
    tokens = document("tokens", "--json", text)
    assert tokens[0] == {"id": 19556, "text": "Hello", "start": 0, "end": 5}
    assert tokens[-1]["end"] == len(text)
    covered = set()
    for token in tokens:
        covered |= set(range(token["start"], token["end"]))
    assert covered == set(range(len(text)))


def test_models_show_and_list() -> None:
    shown = document("models", "show", "--json", "default")
    assert (shown["family"], shown["layers"], shown["vocabulary"]) == ("llama", 30, 49_152)
    listed = document("models", "list", "--json")
    assert shown["path"] in [found["path"] for found in listed["found"]]
    names = {entry["name"] for entry in listed["catalog"]}
    assert {"SmolLM2-360M-Instruct", "Qwen3-0.6B", "gpt2", "gemma-3-1b-it"} <= names


def test_doctor_knows_the_machine() -> None:
    report = document("doctor", "--json")
    assert report["packages"]["torch"] != "not installed"
    assert Path(report["model"]["at start"]).exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("next", "-m", "nosuch", "hello"), "No model is called nosuch"),
        (("next", "-m", "/nowhere/model.gguf", "hello"), "/nowhere/model.gguf"),
        (("next", "-t", "-1", "hello"), "temperature"),
        (("ask", "--top-p", "3", "hello"), "top_p"),
        (("next", ""), "prompt is empty"),
        (("models", "show", "/etc/hostname"), "/etc/hostname"),
        (("models", "get", "nosuch"), "No model is called nosuch"),
    ],
)
def test_mistakes_get_one_sentence_and_status_2(arguments: tuple[str, ...], sentence: str) -> None:
    result = chatterm(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_standard_input_must_be_text() -> None:
    program = Path(sys.executable).with_name("chatterm")
    result = subprocess.run([str(program), "ask"], input=b"\xff\xfe", capture_output=True, check=False)
    assert result.returncode == 2
    assert b"not UTF-8" in result.stderr

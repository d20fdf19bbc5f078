"""The glass box as a script uses it: the commands, a real engine, the real default model."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chatterm.cli import main

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("default_model_path", "warm_engine")]

TEXT = "The best thing about AI is its ability to"
CHINESE = "苹果是一种水果"


def chatterm(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def document(*arguments: str, stdin: str | None = None) -> Any:
    result = chatterm(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def shown(*arguments: str) -> str:
    result = chatterm(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout
    return result.stdout


# --- the fixed forms ---------------------------------------------------------------------


def test_the_last_layer_of_the_lens_is_the_next_token() -> None:
    lens = document("lens", "-k", "4", TEXT)
    following = document("next", "-k", "4", TEXT)
    assert [layer["layer"] for layer in lens["layers"]] == list(range(30))
    last = lens["layers"][-1]["candidates"]
    assert [guess["id"] for guess in last] == [row["id"] for row in following["candidates"]]
    assert [guess["p"] for guess in last] == pytest.approx(
        [row["p"] for row in following["candidates"]], abs=1e-4
    )
    assert len(lens["tokens"]) == len(following["tokens"])
    assert "".join(lens["tokens"]) == TEXT
    assert all(set(guess) >= {"id", "text", "p"} for layer in lens["layers"] for guess in layer["candidates"])


def test_attention_rows_sum_to_one() -> None:
    read = document("attention", "--layer", "3", "--head", "2", "-", stdin=CHINESE)
    weights, count = read["weights"], len(read["tokens"])
    assert len(weights) == count
    for number, row in enumerate(weights):
        assert len(row) == count
        assert math.fsum(row) == pytest.approx(1, abs=1e-4)
        assert not any(row[number + 1 :])


def test_contributions_sum_to_the_logit() -> None:
    read = document("contributions", "--target", " learn", TEXT)
    assert (read["text"], len(read["heads"]), len(read["mlps"])) == (" learn", 30, 30)
    parts = [
        read["embedding"],
        read["bias"],
        *read["mlps"],
        *(share for row in read["heads"] for share in row),
    ]
    assert math.fsum(parts) == pytest.approx(read["logit"], abs=1e-3)
    assert isinstance(read["token"], int)


def test_edit_compare_has_both_tables_and_the_divergence() -> None:
    read = document(
        *("edit-compare", "--off", "head:3.2", "--off", "mlp:20", "--scale", "neuron:5.7=2"),
        *("--steer", "10:I love it:I hate it=2", "--max-tokens", "5", "-k", "3", "--seed", "1", TEXT),
    )
    assert read["edits"] == [
        "head 3.2 off",
        "feed-forward 20 off",
        "neuron 5.7 × 2",
        "steered after block 10 from “I hate it” to “I love it” × 2",
    ]
    assert read["kl"] > 0
    following = document("next", "-k", "3", TEXT)
    assert [row["id"] for row in read["clean"]["candidates"]] == [
        row["id"] for row in following["candidates"]
    ]
    assert len(read["edited"]["candidates"]) == 3
    assert len(read["clean_reply"]["tokens"]) == len(read["kl_along"]) == 5
    assert read["kl_along"][0] == read["kl"]


def test_the_self_check_passes() -> None:
    checked = document("selfcheck")
    assert checked["ok"] and all(identity["ok"] for identity in checked["identities"])
    assert all(identity["error"] <= identity["tolerance"] for identity in checked["identities"])
    assert "all hold" in shown("selfcheck")


# --- the others ---------------------------------------------------------------------


def test_the_lens_follows_a_word_and_shows_a_grid() -> None:
    read = document("lens", "-k", "1", "--positions", "3", "--target", "Warsaw", "The capital of Poland is")
    assert [place["text"] for place in read["positions"]] == [" of", " Poland", " is"]
    assert read["positions"][-1]["target_text"] == " Warsaw"
    assert read["positions"][0]["target_text"] == " Poland"
    assert read["layers"] == read["positions"][-1]["layers"]
    assert read["layers"][-1]["target_rank"] < read["layers"][5]["target_rank"]


def test_attention_overview_and_patterns() -> None:
    overview = document("attention", "--to", "0", CHINESE)
    assert len(overview["entropy"]) == len(overview["weight"]) == 30
    assert all(len(row) == 9 for row in overview["strongest"])
    patterns = document("attention", "--layer", "0", "hello hello hello bye bye bye")
    assert [tuple(head) for head in patterns["heads"]] == [(0, head) for head in range(9)]


def test_neurons_have_words() -> None:
    read = document("neurons", "-n", "3", TEXT)
    assert len(read["neurons"]) == 3 and len(read["active"]) == 30
    strengths = [neuron["strength"] for neuron in read["neurons"]]
    assert strengths == sorted(strengths, reverse=True)
    assert {"text", "logit"} == set(read["neurons"][0]["promotes"][0])


def test_neighbours_analogies_and_the_map() -> None:
    near = document("neighbours", "-n", "5", " dog")
    assert near["of"] == " dog"
    cosines = [row["cosine"] for row in near["neighbours"]]
    assert cosines == sorted(cosines, reverse=True) and len(cosines) == 5
    hidden = document("neighbours", "--layer", "29", "-n", "5", TEXT)
    assert hidden["layer"] == 29 and len(hidden["neighbours"]) == 5
    analogy = document("analogy", "-n", "4", "king", "man", "woman")
    assert len(analogy["neighbours"]) == 4
    plane = document("map", "cat", "dog", "苹果", "run")
    assert [point["word"] for point in plane["points"]] == ["cat", "dog", "苹果", "run"]
    assert 0 < sum(plane["explained"]) <= 1 + 1e-6


def test_ranks_fall() -> None:
    read = document("ranks", TEXT)
    assert read["ranks"][:32] == list(range(1, 33))
    assert read["p"] == sorted(read["p"], reverse=True)
    assert read["slope"] < 0


def test_a_score_agrees_with_next() -> None:
    read = document("score", f"{TEXT} learn")
    following = document("next", "-k", "60", TEXT)
    expected = next(row for row in following["candidates"] if row["text"] == " learn")
    last = read["tokens"][-1]
    assert last["id"] == expected["id"]
    assert last["logprob"] == pytest.approx(expected["logprob"], abs=1e-4)
    known = [token["logprob"] for token in read["tokens"] if token["logprob"] is not None]
    assert read["perplexity"] == pytest.approx(math.exp(-math.fsum(known) / len(known)))


# --- for people ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lens", "--target", " the", CHINESE), ["entropy", "rank", "29"]),
        (("attention", CHINESE), ["rows: layers, columns: heads", "the sharpest heads"]),
        (("attention", "--layer", "2", "--head", "0", CHINESE), ["head 2.0", "weight"]),
        (("contributions", CHINESE), ["feed-forward", "together", "the other"]),
        (("ranks", TEXT), ["slope", "rank 1"]),
        (("map", "cat", "dog", "苹果"), ["苹果", "of the variance"]),
        (
            ("edit-compare", "--off", "block:29", "--max-tokens", "4", CHINESE),
            ["block 29 off", "KL(clean ‖ edited)"],
        ),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_tables_are_readable(arguments: tuple[str, ...], words: list[str]) -> None:
    text = shown(*arguments)
    assert all(word in text for word in words), text
    assert_straight(text)


def assert_straight(text: str) -> None:
    """The right edges of a table stand below each other, whatever the width of its characters."""
    from rich.cells import cell_len

    lines = [line for line in text.splitlines() if line.startswith(("│", "┃")) and line.endswith(("│", "┃"))]
    tables = {tuple(bar for bar in line if bar in "│┃")[:1] for line in lines}
    for edge in tables:
        widths = {cell_len(line) for line in lines if line.startswith(edge[0])}
        assert len(widths) <= 2, text  # at most two tables


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("edit-compare", "--off", "head:40.0", "hello"),
            "layer 40 does not exist: this model has layers 0 to 29.",
        ),
        (("attention", "--layer", "40", "--head", "0", "hello"), "40"),
        (("lens", "--target", "incomprehensibilities", "hello"), "is not one token of this model"),
        (("lens", ""), "prompt is empty"),
    ],
)
def test_mistakes_get_one_sentence_and_status_2(arguments: tuple[str, ...], sentence: str) -> None:
    result = chatterm(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1

"""Parts of a model and drawings, as the command line writes them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatterm.cli import main
from chatterm.cli.glass import drawing, parts
from chatterm.errors import UserError
from chatterm.records.inspection import ScaleBlock, ScaleFeedForward, ScaleHead, ScaleNeuron, Steer


def test_parts() -> None:
    assert parts.part_of("head:7.3") == ScaleHead(7, 3, 0.0)
    assert parts.part_of("mlp:12") == ScaleFeedForward(12, 0.0)
    assert parts.part_of("block:0") == ScaleBlock(0, 0.0)
    assert parts.scaled("neuron:4.99=-1.5") == ScaleNeuron(4, 99, -1.5)
    assert parts.steered("10:Love:Hate=4") == Steer(10, "Love", "Hate", 4.0)
    assert parts.steered("10: 苹果 :b") == Steer(10, " 苹果 ", "b", 1.0)
    assert parts.steered("0:a=b:c=-2") == Steer(0, "a=b", "c", -2.0)


@pytest.mark.parametrize(
    "text", ["", "head", "head:1", "mlp:1.2", "block:-1", "neuron:1.2.3", "heads:1.2", "mlp:１"]
)
def test_no_parts(text: str) -> None:
    with pytest.raises(UserError, match="is no part of a model: write head:LAYER"):
        parts.part_of(text)


@pytest.mark.parametrize("text", ["", "3", "3:a", "x:a:b", "3:a:b:c", "3:a:b=c"])
def test_no_steering(text: str) -> None:
    with pytest.raises(UserError):
        parts.steered(text)


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_as_long_as_its_share(share: float, width: int) -> None:
    drawn = drawing.bar(share, width)
    assert len(drawn) <= width
    length = (
        len(drawn) - 1 + drawing.EIGHTHS.index(drawn[-1]) / 8 if drawn and drawn[-1] != "█" else len(drawn)
    )
    assert length == pytest.approx(share * width, abs=1 / 16) or (drawn == "▏" and share * width < 1 / 8)
    assert bool(drawn) == (share > 0)


@given(st.floats(-1, 1), st.integers(1, 40))
def test_a_signed_bar_fills_its_place_and_one_side(share: float, width: int) -> None:
    drawn = drawing.signed_bar(share, width).plain
    assert len(drawn) == 2 * width + 1
    left, right = drawn[:width].strip(), drawn[width + 1 :].strip()
    assert not (left and right)
    assert bool(left or right) == (abs(share) * width * 2 > 0.5) or abs(share) * width * 2 == 0.5


@given(st.text(max_size=12), st.integers(2, 20))
def test_a_token_takes_exactly_its_cells(text: str, width: int) -> None:
    assert cell_len(drawing.token(text, width).plain) == width


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=40), st.integers(1, 30), st.integers(1, 10)
)
def test_dots_stay_within_their_frame(points: list[tuple[float, float]], width: int, height: int) -> None:
    lines = drawing.dots(points, width, height)
    assert len(lines) == height and all(len(line) == width for line in lines)
    assert any(character != chr(0x2800) for line in lines for character in line) == bool(points)


words = st.text("ab苹果", min_size=1, max_size=6)


@given(st.lists(st.tuples(words, st.floats(0, 1), st.floats(0, 1)), max_size=12))
def test_words_on_a_map_do_not_cover_each_other(points: list[tuple[str, float, float]]) -> None:
    lines = drawing.scatter(points, 60, 20)
    assert all(cell_len(line) <= 60 for line in lines)
    written = sorted(word for line in lines for word in line.split())
    assert written == sorted(word for word, _, _ in points)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "There is no edit"),
        (("--off", "head:3"), "'head:3' is no part of a model"),
        (("--scale", "head:3.1"), "'head:3.1' is not PART=SCALE"),
        (("--scale", "mlp:3=much"), "'much' is not a number"),
        (("--steer", "3:a"), "is not LAYER:TOWARD:AWAY=STRENGTH"),
    ],
)
def test_a_wrong_edit_is_refused_before_anything_is_loaded(arguments: tuple[str, ...], sentence: str) -> None:
    result = CliRunner().invoke(main, ["edit-compare", *arguments, "hello"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr

"""Bars, maps, tabs and shaded text: exact widths, nothing lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chatterm.records.inspection import MapPoint
from chatterm.tui.widgets.glass import heat_map, shaded_text, word_map
from chatterm.tui.widgets.glass.contributions import signed_bar
from chatterm.tui.widgets.glass.shades import RAMP, glyph, height
from chatterm.tui.widgets.tab_strip import TABS, arrange

TOKENS = st.lists(
    st.sampled_from([" the", "苹果", "\n", "é", "<0xE4>", "", " ", "🙂", "long" * 30]), max_size=40
)


def test_stronger_never_looks_weaker():
    shares = [number / 200 for number in range(201)]
    for ramp, signs in ((glyph, RAMP), (height, " ▁▂▃▄▅▆▇█")):
        steps = [signs.index(ramp(share)) for share in shares]
        assert steps == sorted(steps)
        assert steps[0] == 0 and steps[-1] == len(signs) - 1


@given(st.floats(-50, 50), st.integers(1, 30))
def test_a_signed_bar_is_on_one_side_and_fits(value, width):
    left, right = signed_bar(value, 50.0, width)
    assert not (left and right)
    assert cell_len(left) <= width and cell_len(right) <= width
    assert bool(left) == (value < 0)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 20))
def test_pooling_keeps_the_strongest_and_fits(size, rows, columns):
    square = [[(7 * r + 3 * c) % 11 / 11 for c in range(size)] for r in range(size)]
    small, side = heat_map.pooled(square, rows, columns)
    assert len(small) <= max(rows, 1) and max(map(len, small)) <= columns
    assert max(map(max, small)) == max(map(max, square))
    assert side == 1 or len(small) < size


@given(TOKENS, st.integers(4, 40))
def test_shaded_text_shows_every_token_in_its_cells(tokens, width):
    lines = shaded_text.lay_out(tokens, 0, width)
    pieces = [piece for line in lines for piece in line]
    assert [piece.position for piece in pieces] == list(range(len(tokens)))
    for line in lines:
        assert line[0].start == 0
        for piece, following in pairwise(line):
            assert piece.start + piece.width == following.start
        assert line[-1].start + line[-1].width <= width
        assert all(piece.width == cell_len(piece.text) > 0 for piece in line)


@pytest.mark.parametrize("width", [30, 36, 42, 56, 58, 80, 198])
@pytest.mark.parametrize("here", range(len(TABS)))
def test_the_open_tab_is_always_in_the_strip(width, here):
    row = arrange(TABS, here, width)
    assert [place.here for place in row].count(True) == 1
    assert sum(cell_len(place.text) for place in row) == row[-1].end <= width
    reachable = {place.action for place in row}
    assert len(reachable) >= min(len(TABS), 3)


@given(
    st.lists(
        st.tuples(st.text("ab猫é", min_size=1, max_size=6), st.floats(-1, 1), st.floats(-1, 1)),
        max_size=12,
        unique_by=lambda point: point[0],
    ),
    st.integers(10, 60),
    st.integers(2, 20),
)
def test_a_map_has_exact_lines_and_every_word_is_there_or_named_as_lost(points, width, height):
    lines, lost = word_map.draw([MapPoint(*point) for point in points], width, height)
    assert len(lines) == height
    assert all(cell_len(line) == width for line in lines)
    for word, _, _ in points:
        short = cell_len(word) <= width // 2
        assert word in lost or not short or any(word in line for line in lines)

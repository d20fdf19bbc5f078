"""Scales, the entropy curve and braille pictures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatterm.records.inspection import ScoredToken
from chatterm.tui.text.braille import Canvas
from chatterm.tui.text.token_measures import BLOCKS, CEILINGS, LEGENDS, MEASURES, sparkline, step_of


def test_steps_are_those_of_the_legend():
    ranks = {1: 0, 2: 1, 3: 1, 4: 2, 10: 2, 11: 3, 100: 3, 101: 4, 40_000: 4}
    for rank, step in ranks.items():
        assert step_of("rank", ScoredToken(0, "", -1.0, rank, 1.0)) == step
    assert step_of("surprisal", ScoredToken(0, "", -3.0, 1, 0.0)) == 3
    assert step_of("entropy", ScoredToken(0, "", -3.0, 1, 0.4)) == 0
    for measure in MEASURES:
        assert step_of(measure, ScoredToken(0, "", None, None, None)) is None
        assert len(LEGENDS[measure][1]) == 5


@given(st.lists(st.floats(0, 16), min_size=1, max_size=300), st.integers(1, 120))
def test_the_curve_fits_and_shows_the_highest_value_of_each_cell(values, width):
    spark = sparkline(values, width)
    assert 1 <= len(spark.text) <= width
    assert spark.ceiling in CEILINGS and max(values) <= spark.ceiling
    for index, value in enumerate(values):
        block = BLOCKS.index(spark.text[spark.cell_of(index)])
        assert block >= min(len(BLOCKS) - 1, int(value / spark.ceiling * len(BLOCKS)))


def test_a_short_curve_has_a_cell_for_each_value():
    spark = sparkline([0.0, 3.9, 2.0, 0.1], 10)
    assert (spark.text, spark.per_cell, spark.ceiling) == ("▁█▅▁", 1, 4.0)


def test_dots_stand_in_their_corners():
    canvas = Canvas(2, 1)
    canvas.dots([(0, 0), (1, 1)])
    assert canvas.row(0) == "\u2840\u2808"


@given(st.lists(st.tuples(st.floats(-1, 2), st.floats(-1, 2)), max_size=20))
def test_curves_stay_in_the_picture(points):
    canvas = Canvas(5, 3)
    canvas.curve(points)
    assert [len(canvas.row(y)) for y in range(3)] == [5, 5, 5]

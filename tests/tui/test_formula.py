"""Formulas in LaTeX are read as lines of Unicode, and a click on them finds its place in the source."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatterm.tui.text.formula import DEEPEST, LONGEST, formula
from chatterm.tui.text.markdown import Markdown
from tests.tui.text.counted import calls


def read(source: str) -> list[str]:
    return ["".join(piece.text for piece in line).replace("\u00a0", " ") for line in formula(source)]


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b² − 4ac))/(2a)"),
        (r"\frac{dy}{dx} + \frac12 + \frac{a+1}{n!}", "dy/dx + 1/2 + (a+1)/n!"),
        (r"\sum_{i=1}^n x_i^{n+k}", "∑ᵢ₌₁ⁿ xᵢⁿ⁺ᵏ"),
        (r"\int_0^\infty e^{-x}\,dx", "∫₀^∞e⁻ˣ dx"),
        (r"\lim_{x \to 0} f''(x)", "lim_(x → 0) f″(x)"),
        (r"a\leq b\times c \implies d \in \mathbb{R}^n", "a ≤ b × c ⟹ d ∈ ℝⁿ"),
        (r"\log_2 x + \sin\theta", "log₂ x + sin θ"),
        (r"\operatorname{softmax}(z)_i = \mathrm{id}", "softmax(z)ᵢ = id"),
        (r"P(A\mid B) = \frac{P(B \mid A)\,P(A)}{P(B)}", "P(A | B) = (P(B | A) P(A))/(P(B))"),
        (r"\hat{y} = \vec{v}\cdot\hat{u}, x'", "ŷ = v⃗·û, x′"),
        (r"\left( \frac{1}{2} \right] \{1,2\}", "(1/2 ] {1,2}"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a  b; c  d)"),
        (r"\text{if } x, 5\%, 90^\circ, \boxed{42}", "if x, 5%, 90°, [ 42 ]"),
        (r"\ce{2H2O + Ca(OH)2}", "2H₂O + Ca(OH)₂"),
        (r"\sqrt[3]{x+1} \sqrt[n]{2}", "∛(x+1) ⁿ√2"),
        (r"e^{i\pi} + x_{\text{min}} + a_Q", "e^(iπ) + xₘᵢₙ + a_Q"),
        (r"\unheard{of} + \alpha", r"\unheard{of} + α"),
        (r"a \% comment", "a % comment"),
    ],
)
def test_what_it_reads(source, reads):
    assert read(source) == [reads]


def test_rows_are_lines():
    assert read(r"\begin{aligned} f(x) &= x^2 \\ &= y \end{aligned}") == ["f(x) = x²", "= y"]
    assert read(r"f = \begin{cases} 1 & x>0 \\ 0 & \text{otherwise} \end{cases}") == [
        "f = ⎧ 1  x>0",
        "    ⎩ 0  otherwise",
    ]
    assert read(r"a \\ b") == ["a", "b"]


@pytest.mark.parametrize(
    "source",
    [r"\frac{a", "}{", "x^", r"\begin{x}", "\\", "^", r"\begin{aligned} a \end{cases}", "x" * (LONGEST + 1)],
)
def test_what_is_no_formula_stays_as_it_is_written(source):
    assert read(source) == [source]


def test_pieces_know_where_they_came_from():
    source = r"\frac{\alpha x}{y^2}"
    pieces = [piece for line in formula(source) for piece in line]
    assert [(piece.text, source[piece.at]) for piece in pieces if piece.at >= 0] == [
        *(("α", "\\"), ("x", "x"), ("y", "y"), ("²", "2"))
    ]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab12 \\{}^_&$%~#'[]()|+-=<\n苹", max_size=60))
@example(r"\begin{pmatrix}")
@example(r"\sqrt[" + "[" * 50)
@example("{" * 2000)
@example(r"\char27 \symbol{27} ^^[ \input{/etc/passwd}")
def test_nothing_that_a_model_writes_breaks_it(source):
    for line in formula(source):
        assert all(-1 <= piece.at < len(source) for piece in line)
        assert "root:" not in "".join(piece.text for piece in line)


FORMULAS = r"""The roots of $ax^2+bx+c=0$ are

$$x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}$$

It costs $5 or $10, and \(E = mc^2\) too: \[ a = b \] or so.
Then:
\[
\begin{aligned}
f(x) &= x^2 \\
- g(x) &= \sum_{i=1}^{n} i
\end{aligned}
\]
done.
1. Item with **bold $\alpha$**, `$x$` and \$5
2. \[ x^2 \]

| a | $x^2$ |
|---|---|
| $\mu$ | 2 |
"""


def test_formulas_among_words():
    assert [line.text.rstrip() for line in Markdown(FORMULAS, 60).lines()] == [
        "The roots of ax²+bx+c=0 are",
        "",
        "   x = (−b ± √(b²−4ac))/(2a)",
        "",
        "It costs $5 or $10, and E = mc² too: a = b or so.",
        "Then:",
        "",
        "   f(x) = x²",
        "   − g(x) = ∑ᵢ₌₁ⁿ i",
        "",
        "done.",
        "",
        "1. Item with bold α, $x$ and $5",
        "2.    x²",
        "",
        "a    │ x²",
        "─────┼─────",
        "μ    │ 2",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(FORMULAS)), max_size=40))
@example(list(range(len(FORMULAS))))
def test_a_formula_that_grows_ends_as_the_whole(cuts):
    grown = Markdown("", 60)
    for start, end in itertools.pairwise([0, *sorted(cuts), len(FORMULAS)]):
        grown.append(FORMULAS[start:end])
    assert [line.text for line in grown.lines()] == [line.text for line in Markdown(FORMULAS, 60).lines()]


def test_the_offsets_of_a_formula_lie_in_it():
    for line in Markdown(FORMULAS, 60).lines():
        for span in line.spans:
            if span.text == "²":
                assert FORMULAS[span.offset] == "2" and FORMULAS[span.offset - 1] == "^"


def nested(opens: str, closes: str, depth: int) -> str:
    return opens * depth + "x" + closes * depth


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        *((r"\text{", "}"), (r"\hat{", "}"), (r"\emph{", "}"), (r"\mathbf{", "}"), (r"\frac{y}{", "}")),
        *((r"\sqrt[", "]{y}"), ("x^{", "}"), ("{", "}"), (r"\begin{matrix}", r"\end{matrix}")),
    ],
)
def test_what_lies_within_each_other_is_read_once(opens, closes):
    def cost(depth: int) -> int:
        """Of as many levels, so many of them within each other."""
        source = " ".join([nested(opens, closes, depth)] * (48 // depth))
        return calls(lambda: formula.__wrapped__(source))

    cost(3)
    assert cost(12) < 3 * cost(3)


def test_what_lies_too_deep_within_each_other_stays_as_it_is_written():
    for opens, closes in ((r"\sqrt{", "}"), (r"\hat{", "}"), (r"\begin{cases}", r"\end{cases}")):
        assert read(nested(opens, closes, DEEPEST // 2)) != [nested(opens, closes, DEEPEST // 2)]
        assert read(nested(opens, closes, 3 * DEEPEST)) == [nested(opens, closes, 3 * DEEPEST)]


def test_an_accent_upon_many_others_costs_little():
    source = (r"\multicolumn{a}{b}{" + nested(r"\hat{", "}", 11) + "}") * 40
    assert len(source) < LONGEST
    assert calls(lambda: formula.__wrapped__(source)) < 100_000

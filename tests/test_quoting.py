"""Quotes in a message: whatever stands in them, they can be told apart again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatterm.quoting import Quote, quoted, split

NAMES = st.sampled_from(["a.py", "说明 书.md", "Pasted text 1", "x: y"])
TEXTS = st.text(st.sampled_from("ab`\n苹 :"), min_size=1, max_size=60).map(lambda t: t.strip("\n") + "x")


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=3), st.sampled_from(["", "What is it?", "one\n\ntwo"]))
def test_quotes_come_back_as_they_were(parts, said):
    quotes = [Quote(name, text, "py" if name.endswith("py") else "") for name, text in parts]
    message = "\n\n".join([*map(quoted, quotes), said] if said else map(quoted, quotes))
    assert split(message) == (tuple(quotes), said)


def test_what_holds_no_quote_was_said():
    for said in ("", "plain", "```\ncode\n```", "a.py:\n\n```\nnever closed"):
        assert split(said) == ((), said)

"""Search finds what a plain look through every message would find, in any script."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.library import Library
from chatterm.library.search import snippet, terms
from chatterm.library.text import folded, one_line

LETTERS = st.text(alphabet='abAÉé苹果水\U0001f34e "%_*\0\n', max_size=10)


def say(library: Library, *texts: str) -> list[int]:
    conversation = library.create().id
    return [library.add_message(conversation, None, "user", text).id for text in texts]


def found(library: Library, query: str) -> list[int]:
    return [hit.message for hit in library.search(query)]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("apple", [0, 1]),
        ("APPLE pie", [1]),
        ("pie apple", [1]),
        ('"apple pie"', [1]),
        ('"pie apple"', []),
        ("ppl", [0, 1]),
        ("p", [0, 1]),
        ("苹", [2]),
        ("水果", [2]),
        ("是水果吗", [2]),
        ("苹果 水", [2]),
        ("水 果 苹", [2]),
        ("élan", [3]),
        ("ÉLAN", [3]),
        ("100%", [3]),
        ("%", [3]),
        ("_", []),
        ("*", []),
        ("apple OR pie", []),
        ("NEAR(apple pie)", []),
        ('"', []),
        ("", []),
        ("  ", []),
        ("\ud800", []),
        ("a\0b", []),
    ],
)
def test_queries(library: Library, query: str, places: list[int]) -> None:
    said = say(library, "An apple a day", "Apple pie", "苹果是水果吗", "Élan of 100%")
    assert sorted(found(library, query)) == [said[place] for place in places]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LETTERS, max_size=6), LETTERS)
def test_it_finds_what_a_plain_look_through_finds(texts: list[str], query: str) -> None:
    with Library.in_memory() as library:
        said = dict(zip(say(library, *texts), texts, strict=True))
        wanted = terms(query)
        expected = [m for m, text in said.items() if wanted and all(term in folded(text) for term in wanted)]
        hits = library.search(query)
        assert [hit.message for hit in hits] == sorted(expected, reverse=True)
        for hit in hits:
            marked = {folded(hit.snippet[start:end]) for start, end in hit.spans}
            assert marked and all(any(one_line(term) in piece for term in wanted) for piece in marked)


def test_newest_first_in_pages(library: Library) -> None:
    said = say(library, *(f"same word {number}" for number in range(7)))
    newest = [hit.message for hit in library.search("word", limit=3)]
    older = [hit.message for hit in library.search("word", limit=10, offset=3)]
    assert newest + older == said[::-1]


def test_the_hit_is_shown_in_its_surroundings() -> None:
    content = "x" * 500 + "\nthe Needle, and the NEEDLE\x1b\n" + "y" * 500
    text, spans = snippet(content, ("needle",))
    assert [text[start:end] for start, end in spans] == ["Needle", "NEEDLE"]
    assert text.startswith("…") and text.endswith("…") and len(text) <= 162
    assert "\n" not in text and "\x1b" not in text


def test_touching_hits_are_one_span() -> None:
    assert snippet("苹果水果", ("苹果", "果水")) == ("苹果水果", ((0, 3),))


def test_an_edited_or_purged_message_is_searched_as_it_is(library: Library) -> None:
    (first,) = say(library, "old words")
    new = library.edit(first, "new words")
    assert found(library, "words") == [new.id, first]
    library.delete(new.conversation)
    library.purge(new.conversation)
    assert found(library, "words") == []

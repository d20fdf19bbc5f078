"""Exports of hostile conversations, read as their readers do."""

from __future__ import annotations

import json
import random
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

from chatterm.library import Library
from chatterm.library.exchange import Whole
from chatterm.library.exports import FORMATS, export
from chatterm.library.imports import read
from tests.faults.hostile import Villain, conversation
from tests.faults.oracle import complaint

_ELEMENTS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "h1",
        "h2",
        "p",
        "label",
        "input",
        "span",
        "small",
    ),
    *("main", "section", "div", "a"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "type", "id", "checked", "title", "dir"),
    "href",
}  # fmt: skip
_VOID = {"meta", "input"}
_SVG = "{http://www.w3.org/2000/svg}"
_SVG_ELEMENTS = {f"{_SVG}{name}" for name in ("svg", "title", "style", "rect", "text", "tspan")}
_SVG_ATTRIBUTES = {
    *("viewBox", "width", "height", "class", "x", "y", "textLength", "lengthAdjust"),
    "{http://www.w3.org/XML/1998/namespace}space",
}


def case(numbers: random.Random, folder: Path) -> str:
    """Export a conversation to one format and look for anything but its words in it."""
    villain = Villain(numbers)
    with Library.in_memory() as library:
        added = library.add_conversations([conversation(villain)])
        whole = library.whole(added[0].id)
    format_ = numbers.choice(FORMATS)
    branches = numbers.random() < 0.5
    text = export([whole], format_, branches=branches)
    if format_ not in ("html", "svg"):  # there a sign and its joiner may be in elements of their own
        found = complaint(text, allowed="\n\t")
        assert not found, f"{format_}: {found}"
    text.encode()
    match format_:
        case "html":
            _check_page(text)
        case "svg":
            _check_picture(text)
        case "markdown":
            _check_markdown(text, whole)
        case "json":
            _check_json(text, whole)
        case "text":
            _check_text(text)
    return f"export as {format_}"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.styles: list[str] = []
        self.said = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ELEMENTS, f"the element <{tag}>"
        for name, value in attrs:
            assert name in _ATTRIBUTES, f"the attribute {name} of <{tag}>"
            assert name != "href" or re.fullmatch("#m[0-9]+", value or ""), f"a link to {value}"
            found = complaint(value or "", allowed="\n\t")
            assert not found, f"{name} of <{tag}>: {found}"
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.said += data
        if self.open and self.open[-1] == "style":
            self.styles.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        assert decl == "doctype html", f"a declaration {decl!r}"

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration {data!r}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction {data!r}")


def _check_page(text: str) -> None:
    page = _Page()
    page.feed(text)
    page.close()
    assert not page.open, f"{page.open} are not closed"
    found = complaint(page.said, allowed="\n\t")
    assert not found, found
    assert len(page.styles) == 1 and "pwned" not in page.styles[0], "a style of its own"
    assert text.count("Content-Security-Policy") >= 1
    assert text.index("Content-Security-Policy") < text.index("<title>")


def _check_picture(text: str) -> None:
    assert "<!DOCTYPE" not in text and "<!ENTITY" not in text, "a document type"
    said = ""
    for element in ElementTree.fromstring(text).iter():
        assert element.tag in _SVG_ELEMENTS, f"the element {element.tag}"
        assert set(element.attrib) <= _SVG_ATTRIBUTES, f"attributes {set(element.attrib) - _SVG_ATTRIBUTES}"
        assert element.tag != f"{_SVG}style" or "pwned" not in (element.text or ""), "a style of its own"
        if element.tag == f"{_SVG}title":
            found = complaint(element.text or "", allowed="\n\t")
            assert not found, found
        else:
            said += (element.text or "") + (element.tail or "")
    found = complaint(said, allowed="\n\t")
    assert not found, found


def _check_markdown(text: str, whole: Whole) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True
    tokens = parser.parse(text)
    for token in (inner for outer in tokens for inner in (outer, *(outer.children or ()))):
        assert token.type not in ("html_block", "html_inline", "image"), f"{token.type} {token.content!r}"
        href = str(token.attrs.get("href", "")).lower()
        assert not re.match(r"\s*(javascript|vbscript|data|file):", href), f"a link to {href}"
        found = complaint(token.content, allowed="\n\t")
        assert not found or (token.type == "text" and "joiner of nothing" in found), found
    level_1 = [t for t in tokens if t.type == "heading_open" and t.tag == "h1" and t.level == 0]
    assert len(level_1) == 1, f"{len(level_1)} titles"


def _check_json(text: str, whole: Whole) -> None:
    again = read(text.encode(), "export.json", 0.0).conversations[0]
    assert [message.content for message in again.messages] == [message.content for message in whole.messages]
    assert json.loads(text)["conversations"][0]["title"] == whole.conversation.title


def _check_text(text: str) -> None:
    for line in text.split("\n")[3:]:
        assert not line.strip() or line.startswith("    ") or re.match(r"(\d+\. )?\S|System prompt$", line), (
            f"a line out of line: {line!r}"
        )

"""Exports for people: they show what was said, and nothing in it acts or passes for structure."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import PurePath

import pytest
from documents import conversations
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.cells import cell_len

from chatterm import inert
from chatterm.errors import UserError
from chatterm.library import Library, Token
from chatterm.library.document import ConversationDocument
from chatterm.library.exchange import Whole
from chatterm.library.exports import FORMATS, SUFFIXES, colours, export, format_of, markdown, outline, svg
from tests.tui.text.counted import calls, grows_with_its_length

MakeTokens = Callable[[Sequence[str]], list[Token]]
PIECES = st.sampled_from(
    [
        "text", " ", "\n", "\n\n", "# head", "## You", "===", "---", "```", "````", "~~~", "`", "``",
        "<script>", "<b", ">", "<!--", "<img src=x onerror=y>", "![a](http://x)", "![", "](", "[a]: http://x",
        "- ", "1. ", "    ", "> ", "\t", "|", "\\", "&lt;", "*", "**", "<http://a.b>", "\x1b[31m", "\u202e",
        "苹果", "<?", "]]>", "<![CDATA[", "</style>", '"', "'", "\x85", "\x00",
    ]
)  # fmt: skip
NASTY = st.lists(PIECES, max_size=14).map("".join)
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def whole_of(document: ConversationDocument) -> Whole:
    with Library.in_memory() as library:
        (added,) = library.add_conversations([document])
        return library.whole(added.id)


def said(*contents: str, title: str = "", system: str = "") -> Whole:
    """A user and a model that take turns."""
    with Library.in_memory() as library:
        talk = library.create(model="SmolLM2", system_prompt=system).id
        library.rename(talk, title)
        parent = None
        for number, content in enumerate(contents):
            parent = library.add_message(talk, parent, "assistant" if number % 2 else "user", content).id
        return library.whole(talk)


@pytest.fixture
def coloured(library: Library, make_tokens: MakeTokens) -> Whole:
    """A question, a reply with tokens, and the same reply asked for again."""
    talk = library.create(model="SmolLM2").id
    question = library.add_message(talk, None, "user", "What is <b> & “苹果”?")
    for words in (["It", " is", " <script>", "苹果", "🍎", '"'], ["Another"]):
        reply = library.begin_reply(talk, question.id, model="SmolLM2-135M")
        library.finish_reply(reply.id, "end", tokens=make_tokens(words), text=" the end")
    library.select(library.siblings(reply.id).ids[0])
    return library.whole(talk)


class Page(HTMLParser):
    """The elements of a page, and the texts in its messages."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self._depth = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if self._depth:
            self._depth += 1
        elif dict(attrs).get("class") == "said":
            self._depth = 1
            self.said.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.said[-1] += data


# --- all of them ----------------------------------------------------------------------------------------


@relaxed
@given(conversations(), st.sampled_from(FORMATS), st.booleans())
def test_every_format_is_inert(document: ConversationDocument, format_: str, branches: bool) -> None:
    text = export([whole_of(document)], format_, branches=branches)
    assert inert.block(text) == text


@pytest.mark.parametrize("format_", FORMATS)
def test_only_the_active_path_unless_asked(coloured: Whole, format_: str) -> None:
    everything = export([coloured], format_, branches=True)
    assert "Another" in everything
    if format_ != "json":
        assert "Another" not in export([coloured], format_)


def test_suffixes_choose_formats() -> None:
    assert set(SUFFIXES.values()) == set(FORMATS)
    assert format_of(PurePath("a/Talk.MD")) == "markdown"
    with pytest.raises(UserError, match=r"talk\.doc"):
        format_of(PurePath("talk.doc"))


def test_only_json_holds_several(coloured: Whole) -> None:
    assert export([coloured, coloured], "json").count('"title"') == 2
    with pytest.raises(UserError, match="Only JSON"):
        export([coloured, coloured], "html")


# --- Markdown -------------------------------------------------------------------------------------------


def headings(text: str) -> list[tuple[str, str]]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [
        (token.tag, "".join(child.content for child in inline.children or ()))
        for token, inline in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag in ("h1", "h2")
    ]


@relaxed
@given(st.lists(NASTY, min_size=1, max_size=4), NASTY, NASTY)
@example(["<script>alert(1)</script>", "```\nopen", "Title\n===", "> lazy"], "# t <b>", "sys")
@example(["`a` <b> `c\n\n`d <i>`", "- item\n\n  ```\n  open", "<!-- open", "x"], "", "")
def test_markdown_keeps_its_structure(contents: list[str], title: str, system: str) -> None:
    whole = said(*contents, title=title, system=system)
    text = export([whole], "markdown")
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    kinds = {token.type for token in tokens} | {c.type for token in tokens for c in token.children or ()}
    assert not kinds & {"html_block", "html_inline", "image"}
    expected = [("h1", outline.title(whole).strip())]
    expected += [("h2", "System prompt")] * bool(whole.conversation.system_prompt)
    expected += [("h2", "Model" if number % 2 else "You") for number in range(len(contents))]
    assert headings(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain *words*", "plain *words*"),
        ("# Top\n\ntext\n\n### Low", "### Top\n\ntext\n\n##### Low"),
        ("```python\nif a < b: # c\n```", "```python\nif a < b: # c\n```"),
        ("use `<b>` and <b>", "use `<b>` and \\<b>"),
        ("![x](http://tracker)", "!\\[x](http://tracker)"),
        ("1 < 2", "1 < 2"),
        ("Title\n=====", "> Title\n> ====="),
        ("```\nnever closed", "> ```\n> never closed"),
        ("", "*(empty)*"),
    ],
)
def test_markdown_stays_readable(text: str, shown: str) -> None:
    assert markdown.harmless(text) == shown


def test_a_fence_is_longer_than_any_inside() -> None:
    assert markdown.fenced("a ```` b") == "`````text\na ```` b\n`````"


@pytest.mark.parametrize("piece", ["|a|\n|-|\n", "[", "![", "<a", "\\", "# a\n", "> - ", "```\n", "*a_"])
def test_twice_the_markdown_is_twice_the_work(piece: str) -> None:
    def twice(size: int) -> str:
        return piece * (size // len(piece))

    assert grows_with_its_length(markdown.harmless, twice, 600)


def test_a_table_of_letters_is_not_filled_up() -> None:
    bomb = "|" + "a|" * 250 + "\n|" + "-|" * 250 + "\n" + "a\n" * 260
    assert calls(lambda: markdown.harmless(bomb)) < 1_000_000


def test_a_message_longer_than_any_is_fenced() -> None:
    assert markdown.harmless("a" * markdown.LONGEST) == "a" * markdown.LONGEST
    assert markdown.harmless("a" * (markdown.LONGEST + 1)).startswith("```text\na")


@given(st.text(alphabet="\\<![a", max_size=30))
def test_signs_are_escaped_once(text: str) -> None:
    expected = re.sub(r"(\\*)(<|!\[)", markdown._escaped_sign, text)
    assert markdown._escaped_run(text, None) == expected


# --- plain text -----------------------------------------------------------------------------------------


@relaxed
@given(NASTY, NASTY)
def test_plain_text_indents_what_was_said(question: str, answer: str) -> None:
    lines = export([said(question, answer, title="T")], "text").split("\n")
    body = [line for line in lines[3:] if line and not line.startswith("    ")]
    assert body == ["You", "Model"]


# --- HTML -----------------------------------------------------------------------------------------------


@relaxed
@given(conversations(), st.booleans())
def test_html_says_what_was_said(document: ConversationDocument, branches: bool) -> None:
    whole = whole_of(document)
    page = Page(export([whole], "html", branches=branches))
    shown = [entry.message.content for entry in outline.entries(whole, branches=branches)]
    system = [whole.conversation.system_prompt] if whole.conversation.system_prompt else []
    clean = [re.sub("[\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", inert.block(text)) for text in system + shown]
    assert page.said == clean
    assert not {tag for tag, _ in page.elements} & {"script", "img", "link", "iframe", "object", "b"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
        assert (attributes.get("href") or "#").startswith("#")


@relaxed
@given(NASTY, NASTY)
def test_html_is_not_broken_out_of(content: str, title: str) -> None:
    page = Page(export([said(content, content, title=title)], "html"))
    assert page.said == [inert.block(content)] * 2
    assert [tag for tag, _ in page.elements].count("section") == 2


def test_html_allows_only_its_own_style(coloured: Whole) -> None:
    import base64
    import hashlib

    page = export([coloured], "html")
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page


def test_html_tells_what_a_token_was_chosen_from(coloured: Whole) -> None:
    (token, *_) = coloured.tokens[coloured.path[1].id]
    hints = [
        attributes["title"]
        for tag, attributes in Page(export([coloured], "html")).elements
        if "title" in attributes
    ]
    assert len(hints) == 6
    assert hints[0] == colours.tooltip(token)
    assert hints[0].count("\n") == 1 + len(token.candidates)
    assert f"rank {token.rank}" in hints[0]


def test_the_scale_is_that_of_the_screen() -> None:
    from chatterm.tui import themes

    assert colours.SURPRISE_NATS == themes.SURPRISE_NATS
    assert [colours.step(-nats) for nats in (0, 0.49, 0.5, 1.5, 3, 5, 99)] == [0, 0, 1, 2, 3, 4, 4]
    assert colours.step(float("nan")) == colours.step(float("-inf")) == 4


@pytest.mark.parametrize(
    ("logprob", "words"),
    [
        (0.0, "100.0 %"),
        (-0.3, "74.1 %"),
        (-12.0, "0.00061 %"),
        (float("-inf"), "0.0 %"),
        (float("nan"), "?"),
        (1.0, "?"),
    ],
)
def test_percent(logprob: float, words: str) -> None:
    assert colours.percent(logprob) == words


# --- SVG ------------------------------------------------------------------------------------------------


@relaxed
@given(conversations(), st.booleans())
def test_svg_is_xml(document: ConversationDocument, branches: bool) -> None:
    ElementTree.fromstring(export([whole_of(document)], "svg", branches=branches))


@relaxed
@given(st.lists(NASTY | st.text(max_size=200), max_size=5))
def test_svg_lines_fit_the_grid_and_lose_nothing(pieces: list[str]) -> None:
    rows = svg.laid_out([(piece, None) for piece in pieces], "said")
    for row in rows:
        column = 0
        for run in row:
            assert run.column == column
            column += run.cells
        assert column <= svg.COLUMNS
    flat = "".join(run.text for row in rows for run in row)
    assert re.sub(r"\s", "", flat) == re.sub(r"\s", "", "".join(pieces))


def test_svg_wraps_between_words() -> None:
    rows = svg.laid_out([("word " * 30 + "x" * 200, None)], "said")
    lines = ["".join(run.text for run in row) for row in rows]
    assert lines[0] == "word " * 17, "88 columns hold 17 words and the space after each"
    assert max(cell_len(line) for line in lines) == svg.COLUMNS


def test_svg_gives_wide_characters_two_columns(coloured: Whole) -> None:
    root = ElementTree.fromstring(export([coloured], "svg"))
    name = "{http://www.w3.org/2000/svg}"
    widths = {
        "".join(element.itertext()).split("\n")[-1].split(" %")[-1][-2:]: float(element.get("textLength", 0))
        for element in root.iter(f"{name}text")
        if element.get("class", "").startswith("s") and element.find(f"{name}title") is not None
    }
    assert widths["苹果"] == pytest.approx(4 * svg.CELL)


def test_svg_leaves_letters_from_right_to_left_to_the_viewer() -> None:
    picture = export([said("שלום עולם", title="T")], "svg")
    (line,) = [line for line in picture.splitlines() if "שלום" in line and "<title>" not in line]
    assert "textLength" not in line and "<tspan" in line


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;y)",
        "[x]\n\n[x]: data:text/html,y",
        "a &#8238; b",
        "[x](file:///etc/y)",
    ],
)
def test_markdown_that_would_act_or_hide_elsewhere_is_fenced(text: str) -> None:
    assert "```text" in export([said(text)], "markdown")
    assert "```text" not in export([said("[x](https://a.example) <b> [y](mailto:a@b.c) &amp;")], "markdown")


def test_a_sign_of_several_tokens_stays_whole_in_a_page(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create(model="You").id
    question = library.add_message(talk, None, "user", "?")
    reply = library.begin_reply(talk, question.id, model="You")
    library.finish_reply(reply.id, "end", tokens=make_tokens(["👩", "\u200d", "👧", "a", "\u200d", "b"]))
    page = Page(export([library.whole(talk)], "html"))
    assert page.said[-1] == "👩\u200d👧a�b"
    assert "“You”" in export([library.whole(talk)], "text")

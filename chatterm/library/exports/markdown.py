"""Markdown that reads as it was meant and can do nothing.

A message stands as it is if it is harmless: no HTML, no pictures (a viewer would fetch them), no links but to
pages and addresses of mail, nothing left open, no heading that could pass for the export's own. HTML and
pictures are escaped; what would still reach beyond its message is quoted, and what cannot even be quoted is
fenced. What a text does is not guessed but
seen by parsing it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from chatterm import inert
from chatterm.commonmark import bound
from chatterm.library.exchange import Whole
from chatterm.library.exports import outline
from chatterm.library.exports.plain import heading

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MEANT = re.compile(r"([\\`*_\[\]<>#!|~&])")
_CODE_SPAN = re.compile(r"(?<![`\\])(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_SIGN = re.compile(r"(?<!\\)(\\*)(<|!\[)")
_ACTS = {"html_block", "html_inline", "image"}
_OWN_HEADINGS = {"h1", "h2"}
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.\-\s]*):")
_HARMLESS_SCHEMES = {"http", "https", "mailto"}

LONGEST = 100_000
"""Characters; a longer message is fenced, because seeing what it does takes long."""


def as_markdown(whole: Whole, *, branches: bool = False) -> str:
    """A conversation as Markdown."""
    parts = [f"# {line(outline.title(whole))}", line(" · ".join(filter(None, outline.facts(whole))))]
    if whole.conversation.system_prompt:
        parts += ["## System prompt", quoted(inert.block(whole.conversation.system_prompt))]
    for entry in outline.entries(whole, branches=branches):
        parts += [f"## {line(heading(entry, branches=branches))}", harmless(entry.message.content)]
    return "\n\n".join(filter(None, parts)) + "\n"


def line(text: str) -> str:
    """A text of one line that means itself, inside a heading or a paragraph."""
    return _MEANT.sub(r"\\\1", text)


def harmless(text: str) -> str:
    """A message as Markdown that can do nothing and ends where it ends."""
    text = inert.block(text).strip("\n")
    if not text.strip():
        return "*(empty)*"
    if len(text) > LONGEST:
        return fenced(text)
    tokens = _parse(text)
    if _does_nothing(tokens):
        return _set_apart(text, tokens)
    for spared in (_CODE_SPAN, None):
        escaped = _escaped(text, tokens, spared)
        if _does_nothing(parsed := _parse(escaped)):
            return _set_apart(escaped, parsed)
    return fenced(text)


def _set_apart(text: str, tokens: list[Token]) -> str:
    """A text that does nothing, its headings below the export's; quoted if it reaches beyond itself."""
    shifted = _headings_shifted(text, tokens)
    if (shifted == text or _does_nothing(_parse(shifted))) and _keeps_to_itself(shifted):
        return shifted
    return quoted(text)


def quoted(text: str) -> str:
    """A text as a quotation: whatever is open in it ends with it. Fenced if it would act."""
    quotation = "\n".join(f"> {line}".rstrip(" ") for line in text.split("\n"))
    return quotation if _does_nothing(_parse(quotation)) else fenced(text)


def fenced(text: str) -> str:
    """A text as code, in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 100}).enable(["table", "strikethrough"])
    bound(parser)
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # not every viewer refuses any
    return parser


def _parse(text: str) -> list[Token]:
    return _parser().parse(text)


def _does_nothing(tokens: list[Token]) -> bool:
    return not any(_acts(token) or any(map(_acts, token.children or ())) for token in tokens)


def _acts(token: Token) -> bool:
    if token.type != "link_open":
        # an entity like `&#8238;` hides what it stands for until the text is parsed
        return token.type in _ACTS or inert.block(token.content) != token.content
    scheme = _SCHEME.match(unquote(str(token.attrs.get("href", ""))))
    return scheme is not None and "".join(scheme[1].split()).lower() not in _HARMLESS_SCHEMES


def _keeps_to_itself(text: str) -> bool:
    """Whether a heading after the text is a heading, and none in it looks like one of the export's own."""
    tokens = _parse(f"{text}\n\n# end")
    own = [token for token in tokens if token.type == "heading_open" and token.tag in _OWN_HEADINGS]
    return len(own) == 1 and own[0] is tokens[-3] and own[0].level == 0


def _escaped(text: str, tokens: list[Token], spared: re.Pattern[str] | None) -> str:
    """The text with HTML and pictures escaped outside of code blocks and of what `spared` matches."""
    lines = text.split("\n")
    code = set[int]()
    for token in tokens:
        if token.type in ("fence", "code_block") and token.map:
            code.update(range(*token.map))
    parts: list[str] = []
    run: list[str] = []
    for number, content in enumerate([*lines, None]):
        if content is not None and number not in code:
            run.append(content)
            continue
        if run:
            parts.append(_escaped_run("\n".join(run), spared))
            run = []
        if content is not None:
            parts.append(content)
    return "\n".join(parts)


def _escaped_run(text: str, spared: re.Pattern[str] | None) -> str:
    def escape(piece: str) -> str:
        return _SIGN.sub(_escaped_sign, piece)

    if spared is None:
        return escape(text)
    pieces, end = [], 0
    for match in spared.finditer(text):
        pieces += [escape(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*pieces, escape(text[end:])])


def _escaped_sign(match: re.Match[str]) -> str:
    backslashes, sign = match.groups()
    if len(backslashes) % 2:
        return match[0]  # it is escaped already
    return f"{backslashes}\\<" if sign == "<" else f"{backslashes}!\\["


def _headings_shifted(text: str, tokens: list[Token]) -> str:
    """The text with its headings two levels lower, below the export's own."""
    lines = text.split("\n")
    for token in tokens:
        if token.type == "heading_open" and token.level == 0 and token.markup.startswith("#") and token.map:
            at = token.map[0]
            level = min(6, len(token.markup) + 2)
            lines[at] = re.sub(r"#+", "#" * level, lines[at], count=1)
    return "\n".join(lines)

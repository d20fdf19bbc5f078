"""One HTML file without scripts, links or anything to fetch, in which every token shows its probability."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from chatterm import inert
from chatterm.library.exchange import Whole
from chatterm.library.exports import colours, outline
from chatterm.library.records import Token


def as_html(whole: Whole, *, branches: bool = False) -> str:
    """A conversation as a page. Its style follows the viewer's preference for dark or light."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = text(outline.title(whole))
    shown = list(outline.entries(whole, branches=branches))
    anchors = {entry.number for entry in shown}
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{title}</h1>",
        f"<p class=facts>{text(' · '.join(filter(None, outline.facts(whole))))}</p>",
    ]
    if any(entry.message.id in whole.tokens for entry in shown):
        parts.append(_legend())
    parts.append("</header>\n<main>")
    if whole.conversation.system_prompt:
        prompt = text(whole.conversation.system_prompt)
        parts.append(
            f'<section class=user><h2>System prompt</h2>\n<div class=said dir="auto">{prompt}</div></section>'
        )
    parts += [_entry(entry, whole.tokens.get(entry.message.id, ()), branches, anchors) for entry in shown]
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])


def text(foreign: str) -> str:
    """Foreign text as the content of an element or of an attribute in double quotes."""
    return escape(inert.block(foreign), quote=True)


def _entry(entry: outline.Entry, tokens: tuple[Token, ...], branches: bool, anchors: set[int]) -> str:
    number = f"{entry.number}. " if branches else ""
    facts = [text(fact) for fact in entry.facts]
    if entry.answers in anchors:
        facts.insert(0, f'answers <a href="#m{entry.answers}">{entry.answers}</a>')
    side = "" if entry.active else " aside"
    kind = "reply" if entry.message.role == "assistant" else "user"
    said = "".join(_piece(piece, token) for piece, token in outline.runs(tokens, entry.message.content))
    return (
        f'<section class="{kind}{side}" id="m{entry.number}">'
        f"<h2>{number}{text(entry.speaker)} <small>{' · '.join(facts)}</small></h2>\n"
        f'<div class=said dir="auto">{said}</div></section>'
    )


def _piece(piece: str, token: Token | None) -> str:
    if token is None:
        return escape(piece)
    hint = text(colours.tooltip(token)).replace("\n", "&#10;")
    return f'<span class=s{colours.step(token.logprob)} title="{hint}">{escape(piece)}</span>'


def _legend() -> str:
    steps = " ".join(f"<span class=s{step}>{words}</span>" for step, words in enumerate(colours.LEGEND))
    return (
        "<p class=legend><label><input type=checkbox id=coloured checked> the model’s probability</label> "
        f"{steps} <small>point at a token for what else could have stood there</small></p>"
    )


def _style() -> str:
    dark = "".join(f"--s{step}:{colour};" for step, colour in enumerate(colours.DARK))
    light = "".join(f"--s{step}:{colour};" for step, colour in enumerate(colours.LIGHT))
    on = "body:has(#coloured:checked)"
    steps = "".join(f"{on} .s{step}{{color:var(--s{step})}}" for step in range(len(colours.DARK)))
    marked = ",".join(f"{on} .s{step}" for step in range(colours.MARK_FROM_STEP, len(colours.DARK)))
    return f"""
:root{{color-scheme:dark light;--ink:#d5dade;--paper:#0f1113;--soft:#1b1f23;--muted:#7f8992;{dark}}}
@media(prefers-color-scheme:light){{
:root{{--ink:#23292e;--paper:#fcfbf9;--soft:#eeebe5;--muted:#67707a;{light}}}}}
body{{margin:0 auto;padding:2rem 1rem 4rem;max-width:48rem;background:var(--paper);color:var(--ink);
font:1rem/1.6 system-ui,sans-serif}}
h1{{font-size:1.4rem;margin:0}}
h2{{font-size:.85rem;margin:0 0 .3rem;color:var(--muted)}}
small,.facts{{color:var(--muted);font-weight:normal;font-size:.8rem}}
.legend{{font-size:.8rem;line-height:2}}
.legend>span,.legend>small{{margin-left:.6rem}}
a{{color:inherit}}
section{{margin-top:1.5rem}}
.user .said{{background:var(--soft);padding:.6rem .9rem;border-radius:.4rem}}
.aside{{opacity:.7;border-left:2px solid var(--soft);padding-left:.8rem}}
.said{{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}}
.said span:hover{{background:var(--soft)}}
{steps}
{marked}{{text-decoration:underline;text-decoration-thickness:1px;text-underline-offset:.2em}}
"""

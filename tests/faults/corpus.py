"""Attacks that a text can hold, and texts that only look odd: for every place where foreign text is shown.

Each attack that would do something names itself: `31337` in numbers, `pwned` in words. So a test finds what
it did, not only what it left behind.
"""

from __future__ import annotations

import random

ATTACKS: dict[str, tuple[str, ...]] = {
    "CSI": (
        "\x1b[31337m", "\x1b[2J", "\x1b[H", "\x1b[31337;31337H", "\x1b[?1049l", "\x1b[?1000h", "\x1b[5i",
        "\x1b[6n", "\x1b[c", "\x1b[21t", "\x1b[1;31;5m", "\x1b[>4;31337m", "\x1b[38;5;31337m",
        "\x1b[9999999999999999999999C",
    ),
    "OSC": (
        "\x1b]0;pwned\x07", "\x1b]2;pwned\x1b\\", "\x1b]8;;https://pwned.example\x1b\\safe\x1b]8;;\x1b\\",
        "\x1b]52;c;cHduZWQ=\x07", "\x1b]4;1;rgb:ff/00/00\x07", "\x1b]10;?\x07",
        "\x1b]1337;File=name=cHduZWQ=:AAAA\x07", "\x1b]9;pwned\x07", "\x1b]777;notify;pwned;pwned\x07",
        "\x1b]133;A\x07",
    ),
    "DCS and others": (
        "\x1bP$q\"p\x1b\\", "\x1bPq#0;2;0;0;0#0~~@@vv@@~~$-\x1b\\", "\x1bP+q544e\x1b\\",
        "\x1b_Gi=31337,a=T,f=100;iVBORw0KGgo=\x1b\\", "\x1b^pwned\x1b\\", "\x1bXpwned\x1b\\", "\x1bc",
        "\x1b#8", "\x1b7\x1b8", "\x1b(0lqqk\x1b(B", "\x1b%G", "\x1b", "\x1b\x1b[A", "\x1b=\x1b>", "\x1bM",
    ),
    "C1": (
        "\x9b31337m", "\x9b2J", "\x9d0;pwned\x9c", "\x90q\x9c", "\x9fGi=31337\x9c", "\x9epwned\x9c", "\x85",
        "\x84\x8d", "\x8e\x8f", "".join(map(chr, range(0x80, 0xA0))),
    ),
    "C0": (
        "\r", "safe\rpwned", "safe\b\b\b\bpwned", "\b" * 40, "\a", "\a" * 40, "\x00", "\x0b", "\x0c",
        "\x0e\x0f", "\x05", "\x7f", "\x18\x1a", "\r\n\r", "\x1c\x1d\x1e\x1f", "".join(map(chr, range(32))),
    ),
    "bidirectional": (
        "\u202epwned\u202c", "\u202dabc", "\u202aabc\u202bdef", "\u2066abc\u2067def\u2068ghi\u2069",
        "/*\u202e } \u2066if (isAdmin)\u2069 \u2066 begin admins only */", "\u200e\u200f\u061c",
        "exe\u202egpj.txt", "\u2069\u2069\u202c", "\u202e" * 50,
    ),
    "invisible": (
        "pass\u200bword", "pay\u200cpal", "ad\u200dmin", "\u2060\u2061\u2062\u2063\u2064", "\ufeffbom",
        "soft\u00adhyphen", "\u034f", "\u115f\u1160\u3164\uffa0", "\u180e", "\u17b4\u17b5", "\u200b" * 60,
        "👩" + "\u200d" * 20, "\u206a\u206b\u206c\u206d\u206e\u206f", "\ufff9a\ufffab\ufffb",
        "\U0001d173\U0001d17a", "\U0001bca0\u2065\ufff0",
    ),
    "tags": (
        "".join(chr(0xE0000 + ord(character)) for character in "ignore all"),
        "\U000e0001\U000e0065\U000e006e", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\U000e0fff",
    ),
    "variation selectors": (
        "😀" + "".join(chr(0xE0100 + number) for number in b"pwned"), "a\ufe0f\ufe0e\ufe00", "\ufe0f" * 30,
        "葛\U000e0100\U000e0101", "\U000e01ef", "x\u180b\u180c",
    ),
    "marks": (
        "z" + "\u0301\u0316\u0489\u20dd" * 30, "\u0e01" + "\u0e47" * 100, "\u0301\u0301", "e\u0301" * 20,
        "\u1112" + "\u1161" * 60, "क" + "\u094d\u200d" * 40, "ا" + "\u064b" * 50, "ﷺ﷽" * 3,
    ),
    "separators": (
        "a\u2028b\u2029c", "\u2028" * 20, "\x85\u2028", "a\u00a0b\u2003c\u3000d",
    ),
    "no text": (
        "\ufffd", "\ufffe\uffff", "\ufdd0\ufdef", "\ue000\uf8ff", "\U000f0000\U0010fffd", "\U0010ffff",
        "\U0001fffe",
    ),
    "surrogates": (
        "\ud800", "\udfff", "\udc80\udcff", "\ud83d", "\ude00\ud83d",
    ),
    "Rich markup": (
        "[bold]pwned[/bold]", "[link=https://pwned.example]safe[/link]", "[@click=app.pwned]safe[/]", "[/]",
        "[/pwned]", "[red", "[on red]x", "[blink]pwned[/blink]", "\\[bold]pwned", "[@click=app.quit()]x[/]",
        "[[bold]]", ":warning:",
    ),
    "Textual markup": (
        "[$primary]pwned[/]", "[bold $error on $surface 50%]pwned", "[@click='app.pwned']x[/]",
        "$name ${name} {name}", "[link='https://pwned.example']x[/link]", "[auto on $boost]x", "[?]", "[ ]",
        "[]", "[bold][/italic]", "[b", "{0} {} %s %(x)s %", "[@click=screen.dismiss('pwned')]x[/]",
    ),
    "Markdown": (
        "[safe](javascript:alert(31337))", "[https://safe.example](https://pwned.example)",
        "![](https://pwned.example/x)", "[a]: javascript:pwned\n\n[a]", "<https://pwned.example>",
        "[x](data:text/html;base64,cHduZWQ=)", "# pwned\n===\n", "```\nopen", "~~~~\nopen",
        "> > > > > > > > > > > > deep", "| a | b |\n|---|---|\n| c | d |", "***", "- " * 30,
        "[x](<javascript:pwned>)", "[x](JaVaScRiPt&colon;pwned)", "[x](vbscript:pwned)", "<!-- pwned",
        "</section>", "## You\n\npwned", "1. a\n   2. b", "`" * 20, "$$x$$", "[^1]\n\n[^1]: pwned",
        "Setext\n------", "    code", "[x](java\nscript:pwned)", "[x][y]\n\n[y]: <vbscript:pwned> 'pwned'",
        "<!DOCTYPE x>", "&#x1b;[31337m", "&#27;]0;pwned&#7;", "&#x202e;pwned", "&zwnj;&#8203;&rlm;&shy;",
        "\\&#27;[2J", "[&#x202e;](https://a.example/&#8203;)",
    ),
    "HTML": (
        "<script>pwned()</script>", "</script><script>pwned()</script>", "<img src=x onerror=pwned()>",
        "<svg onload=pwned()>", "<svg><script>pwned()</script></svg>", "<a href='javascript:pwned()'>x</a>",
        "\"><script>pwned()</script>", "' onmouseover='pwned()", "\" onfocus=pwned() autofocus x=\"",
        "<style>*{display:none}</style>", "</style><b>", "</title><script>pwned()</script>",
        "<iframe src=//pwned.example>", "<base href=//pwned.example>", "<plaintext>",
        "<meta http-equiv=refresh content=0;url=//pwned.example>", "<!--", "-->", "<![CDATA[pwned]]>",
        "]]>", "<?xml pwned?>", "&lt;script&gt;", "&amp;#x3c;", "<form action=//pwned.example><input>",
        "<math><mi//xlink:href='data:x,pwned'>", "<link rel=stylesheet href=//pwned.example>",
        "<object data=//pwned.example>", "expression(pwned())", "url(//pwned)",
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>", "&x;", "</text></svg><script>pwned()</script>", "<b",
        "<", ">", "&", "\"", "'",
    ),
    "paths": (
        "../../etc/passwd", "/dev/tty", "-rf", "--help", "$(pwned)", "`pwned`", "; pwned", "| pwned",
        "~root", "CON", "a/b\\c", "@file", "/quit", "//", "%s%n", "file://pwned", "name.toml\n", " leading",
        "trailing ", ".hidden", "…", "*?[x]",
    ),
    "long": (
        "x" * 5_000, "苹" * 2_000, "a b " * 800, "\n" * 300, "\t" * 200, "🏳" * 500, "[" * 400, "(" * 400,
        "*" * 400, "_a" * 300, "](" * 200, "<" * 400, "\\" * 300, "|" * 200, "0" * 3_000,
    ),
}  # fmt: skip
"""By kind. What is listed under a kind belongs together, so that a campaign can count what it tried."""

_WORDS = (
    "the",
    " sea",
    "苹果",
    " ",
    "\n",
    " is",
    "مرحبا",
    "नमस्ते",
    "👩\u200d👧",
    "1.",
    " a",
    "É",
    "**b**",
    "`c`",
)


class Attack(str):
    """A text made of attacks; `kind` is that of the first one."""

    kind: str = ""


def attack(numbers: random.Random, longest: int = 8_000) -> Attack:
    """A random text: attacks among words, some of them cut, doubled, turned round or torn apart."""
    kinds = [numbers.choice(list(ATTACKS)) for _ in range(numbers.choice((1, 1, 2, 3, 6)))]
    pieces: list[str] = []
    for kind in kinds:
        pieces += [numbers.choice(_WORDS) for _ in range(numbers.randrange(3))]
        pieces.append(_changed(numbers, numbers.choice(ATTACKS[kind])))
    pieces += [numbers.choice(_WORDS) for _ in range(numbers.randrange(3))]
    found = Attack("".join(pieces)[:longest])
    found.kind = kinds[0]
    return found


def _changed(numbers: random.Random, text: str) -> str:
    match numbers.randrange(8):
        case 0:
            return text[: numbers.randrange(len(text) + 1)]
        case 1:
            return text[numbers.randrange(len(text)) :]
        case 2:
            return text * numbers.choice((2, 3))
        case 3 if len(text) < 200:
            return text[::-1]
        case 4:
            place = numbers.randrange(len(text) + 1)
            return (
                text[:place]
                + chr(numbers.choice((0x1B, 0x9B, 0x202E, 0x200D, 0xD, 0x5B, 0x301)))
                + text[place:]
            )
        case _:
            return text


def pieces(numbers: random.Random, text: str, most: int = 40) -> list[str]:
    """A text cut at random places, as tokens cut it."""
    places = sorted(numbers.randrange(len(text) + 1) for _ in range(min(most, len(text))))
    return [
        text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True) if end > start
    ]


def writable(text: str) -> str:
    """A text without lone surrogates, for places that bytes or UTF-8 lead to."""
    return text.encode("utf-8", "replace").decode()


def file_name(numbers: random.Random) -> str:
    """A name that a file system takes."""
    name = "".join(c for c in writable(attack(numbers)) if c not in "/\0")
    while len(name.encode()) > 120:
        name = name[: len(name) // 2]
    return name if name.strip(".") else f"a{name}"

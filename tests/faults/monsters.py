"""Markdown, code and formulas that make work: pieces repeated, mixed, opened and never closed."""

from __future__ import annotations

import random

MARKDOWN = (
    *("[", "]", "![", "[a]", "](", "[a](b) ", "![a](b) ", "[a](<b", '[a](b "', "[a][b", "[a]: b\n", "[]: "),
    *("*", "**", "_", "__", "*a ", "**a", "_a*", "a* ", "~~", "~~a ", "`", "``", "`a", "`a` ", "***a**"),
    *(
        "<",
        "<a",
        "<a@b.c> ",
        "<http://a> ",
        "<!--",
        "<?",
        "</a",
        "<b>",
        "&",
        "&amp;",
        "&#1",
        "&#8238;",
        "&copy;",
    ),
    *("\\", "\\*", "\\[", "\\(", "\\)", "\\]", "\\[a\n", "\\(a ", "$", "$$", "$a ", "$a$ ", "$$a\n", "$$\n"),
    *(
        ">",
        "> ",
        "> a\n",
        "- ",
        "- a\n",
        "-\n",
        "1. ",
        "1. a\n",
        "* ",
        "+ a\n",
        "  - a\n",
        "    a\n",
        "\ta\n",
    ),
    *("#", "# a\n", "a\n=\n", "a\n-\n", "---\n", "- - -\n", "```\n", "```a\n", "~~~\n", "````a\n"),
    *("|", "|a", "|-", "|a|b|\n", "|-|-|\n", "a|b\n-|-\n", "a\n", "\\|", "|a|\n|-|\n>\n", "|\n"),
    *(" ", "  \n", "\n", "\n\n", "\t", "\u00a0", "a", "a ", "word ", "1", "-", "=", ":", "/", '"', "'", "("),
    *("漢", "，", "é", "e\u0301", "\u0301", "\u200d", "\U0001f469\u200d", "\U0001f1e9", "\u1100\u1161"),
    *("\u0645", "\u05d0", "\x1b[", "\r", "\x00", "\u202e", "\ufffd", "\U000e0041", "\ufe0f"),
)
CODE = (
    *(
        "a",
        " ",
        "\n",
        "\t",
        "a\n",
        " \n",
        "a ",
        "1",
        ".",
        ",",
        ";",
        ":",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "<",
        ">",
    ),
    *(
        '"',
        "'",
        "`",
        "\\",
        "/",
        "/*",
        "*/",
        "//",
        "#",
        "--",
        "=",
        "+",
        "-",
        "*",
        "@",
        "$",
        "$(",
        "${",
        "%",
        "%{",
    ),
    *(
        "a.",
        "a(",
        "a:",
        "a::",
        "a<",
        "<a ",
        "<!--",
        "<![CDATA[",
        "</",
        "&a;",
        '"\\',
        "f'{",
        "r#'",
        "<<A\n",
        "\n>>> ",
    ),
    *(
        "def a",
        "class a",
        "int a",
        "function a(",
        "if ",
        "end\n",
        "begin ",
        "=begin\n",
        "return ",
        "import a.",
    ),
    *(
        "漢",
        "é",
        "\u2028",
        "\x00",
        "0x",
        "1e",
        "1_",
        "?",
        "!",
        "~",
        "^",
        "|",
        "||",
        "&&",
        "=>",
        "->",
        "...",
        "a-a",
    ),
)
FORMULA = (
    *(
        "{",
        "}",
        "^",
        "_",
        "^{",
        "_{",
        "x",
        "12",
        " ",
        "&",
        "\\\\",
        "\\",
        "'",
        "-",
        "=",
        "(",
        ")",
        "[",
        "]",
        "~",
        "%",
    ),
    *(
        "\\frac{",
        "\\sqrt{",
        "\\sqrt[",
        "\\hat{",
        "\\vec{",
        "\\text{",
        "\\mbox{$",
        "\\mathbf{",
        "\\emph{",
        "\\ce{",
    ),
    *("\\overset{a}{", "\\binom{", "\\operatorname{", "\\phantom{", "\\footnote{", "\\href{", "\\underline{"),
    *(
        "\\begin{cases}",
        "\\end{cases}",
        "\\begin{matrix}",
        "\\end{matrix}",
        "\\begin{aligned}",
        "\\end{aligned}",
    ),
    *(
        "\\left(",
        "\\right)",
        "\\alpha",
        "\\sum",
        "\\item",
        "\\verb|",
        "\\newcommand{",
        "\\multicolumn{a}{b}{",
    ),
    *(
        "\\color{",
        "\\label{",
        "\\boxed{",
        "\\substack{",
        "\\section{",
        "\\hat\\hat",
        "\\unheard{",
        "$",
        "$$",
        "苹",
    ),
)


def size(numbers: random.Random, most: int) -> int:
    """A number of characters, small ones as often as large ones."""
    return int(10 ** numbers.uniform(1.5, len(str(most)) - 1)) * most // 10 ** (len(str(most)) - 1)


def text(numbers: random.Random, pieces: tuple[str, ...], most: int) -> str:
    """A text of at most so many characters."""
    length = size(numbers, most)
    chosen = numbers.choices(pieces, k=numbers.randrange(1, 6))
    match numbers.randrange(6):
        case 0:
            whole = "".join(chosen) * length
        case 1:
            whole = "".join(piece * (length // len(chosen) // len(piece) + 1) for piece in chosen)
        case 2:
            whole = "".join(numbers.choices(chosen, k=length))
        case 3:
            whole = "".join(numbers.choices(pieces, k=length))
        case 4:
            opens, closes = "".join(chosen), "".join(numbers.choices(pieces, k=2))
            count = length // (len(opens) + len(closes)) + 1
            whole = opens * count + "x" + closes * count
        case _:
            line = "".join(numbers.choices(pieces, k=numbers.choice((1, 9, 90))))
            before = numbers.choice(("", "> ", "- ", "1. ", "  ", "|", "    ", "> - "))
            whole = f"{before}{line}\n" * length
    return whole[:length]


def table(numbers: random.Random, most: int) -> str:
    """A table whose head, rows and cells do not fit each other."""
    columns = numbers.choice((1, 3, 30, 300))
    head = f"|{'a|' * columns}\n|{'-|' * columns}\n"
    cells = [text(numbers, MARKDOWN, 1000).replace("\n", " ") for _ in range(3)]
    rows = ["|".join(numbers.choices([*cells, "a", ""], k=numbers.choice((1, 2, columns)))) for _ in range(9)]
    body = "\n".join(numbers.choices([*rows, "a", "|"], k=numbers.choice((1, 30, 300))))
    return (f"{head}{body}\n\n" * numbers.choice((1, 2, 20)))[:most]


def fenced(numbers: random.Random, language: str, most: int) -> str:
    """A block of code."""
    fence = numbers.choice(("```", "````", "~~~"))
    closes = numbers.choice((f"\n{fence}\n", ""))
    return f"{fence}{language}\n{text(numbers, CODE, most)}{closes}"


def message(numbers: random.Random, languages: list[str], most: int) -> str:
    """A message of one or several such things."""
    parts = []
    for _ in range(numbers.choice((1, 1, 1, 2, 5, 30))):
        kind = numbers.choice(("markdown", "markdown", "markdown", "table", "code", "formula"))
        if kind == "markdown":
            parts.append(text(numbers, MARKDOWN, most))
        elif kind == "table":
            parts.append(table(numbers, most))
        elif kind == "code":
            parts.append(fenced(numbers, numbers.choice(languages), most))
        else:
            opens, closes = numbers.choice(
                (("$", "$"), ("$$\n", "\n$$\n"), ("\\(", "\\)"), ("\\[\n", "\n\\]\n"))
            )
            parts.append(f"{opens}{text(numbers, FORMULA, 4000)}{closes}")
    return numbers.choice(("\n\n", "\n", "", " ")).join(parts)[:most]

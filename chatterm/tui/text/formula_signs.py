"""The signs that LaTeX macros stand for in a formula, beyond those that pylatexenc knows."""

from __future__ import annotations

import re

SUPERSCRIPT = dict(
    zip("0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ′⊤",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ′ᵀ", strict=True)
)  # fmt: skip
SUBSCRIPT = dict(
    zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True)
)
AS_IT_STANDS = frozenset("′″‴*∘†")
"""What needs no raising: primes and the like."""

ALONE = frozenset("∑∏∫∬∭∮∞∂∇√∛∜¬∀∃∄∅⋃⋂∐∠−+|⁺⁻⁼₊₋₌")
"""Mathematical signs that are not set between two others, or not always."""

COLUMN = "\t"
"""Between two columns of a matrix, until it is known what stands beside it."""

DENOMINATOR = re.compile(r"\d+(\.\d+)?|[d∂]?\w[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₙₘ!]*|[^\W\d_]{3,}|[(][^()]*[)]")
"""What needs no brackets below a stroke."""

LAYOUT = frozenset(
    {
        *("left", "right", "middle", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits"),
        *("big", "Big", "bigg", "Bigg", "bigl", "Bigl", "biggl", "Biggl", "bigr", "Bigr", "biggr", "Biggr"),
        *("bigm", "Bigm", "nonumber", "notag", "hline", "centering", "rm", "bf", "it", "cal", "!", "protect"),
    }
)
"""Macros that say how large something is, or where it stands."""

SAME = {
    **dict.fromkeys(("implies", "Longrightarrow"), "⟹"),
    **dict.fromkeys(("impliedby", "Longleftarrow"), "⟸"),
    **{"iff": "⟺", "degree": "°", "circ": "∘", "lbrace": "{", "rbrace": "}", "Vert": "‖", "|": "‖"},
    **{
        "quad": "\u00a0\u00a0",
        "qquad": "\u00a0\u00a0\u00a0",
        "enspace": "\u00a0",
        ",": " ",
        ";": " ",
        ":": " ",
        "-": "",
    },
    **{"dots": "…", "dotsc": "…", "dotsb": "⋯", "cdots": "⋯", "cdot": "·", "ast": "*", "prime": "′"},
    **{"lt": "<", "gt": ">", "ne": "≠", "mid": " | ", "bmod": " mod ", "blacksquare": "■", "square": "□"},
    "top": "⊤",
}
"""What these read."""

ROWS = frozenset(
    {
        *("aligned", "align", "align*", "alignat", "alignat*", "gather", "gather*", "gathered", "split"),
        *("equation", "equation*", "eqnarray", "eqnarray*", "multline", "multline*", "cases", "rcases"),
        *("displaymath", "math"),
    }
)
"""Environments whose rows are lines of their own."""

BRACKETS = {"pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖"}

ARGUMENTS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "binom", "dbinom", "tbinom", "overset", "underset"), "{{"),
    **dict.fromkeys(("boxed", "bm", "pmod", "tag", "label", "phantom", "substack", "color", "pmb"), "{"),
    **dict.fromkeys(("operatorname*", "fbox", "mathop", "ce"), "{"),
    **{"stackrel": "{{", "textcolor": "{{", "operatorname": "*{", "mathstrut": ""},
}
"""What macros take that pylatexenc does not know, in its notation."""

WORDS = frozenset(
    {"text", "textrm", "mbox", "textit", "textbf", "texttt", "textsf", "textnormal", "intertext"}
)
"""Macros whose argument is no formula."""

OPERATORS = frozenset({"operatorname", "operatorname*"})
ALPHABETS = frozenset({"bm", "pmb", "boldsymbol"})
"""Macros that write their argument in other letters, beside those called `math…`."""

"""Conversations of any shape, for property tests."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from chatterm.library.document import (
    CandidateDocument,
    ConversationDocument,
    MessageDocument,
    RemovalDocument,
    TokenDocument,
)

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "",
        "a",
        " the",
        "苹果",
        "é",
        "👩‍👧",
        "\x1b[31m",
        "\u202eabc",
        "<b>",
        "```",
        "\U000e0041",
        "\r\n",
        "## You",
    ]
)
SINGLES = st.floats(width=32).map(lambda value: float(f"{value:.9g}") if math.isfinite(value) else value)
NUMBERS = SINGLES.map(
    lambda value: (
        value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    )
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
DATES = st.floats(0, 4e9)
MODELS = st.none() | TEXTS

CANDIDATES = st.builds(
    CandidateDocument,
    id=INTEGERS,
    text=TEXTS,
    logprob=NUMBERS,
    rank=INTEGERS,
    sampled=NUMBERS,
    removed_by=st.none() | st.sampled_from(["top_k", "min_p"]),
)
REMOVALS = st.builds(RemovalDocument, step=st.sampled_from(["top_k", "xtc"]), tokens=INTEGERS, mass=NUMBERS)
SAMPLINGS = st.none() | st.builds(
    lambda temperature, seed, bias, sigma: {
        "temperature": temperature,
        "seed": seed,
        "logit_bias": bias,
        "top_n_sigma": sigma,
    },
    st.floats(0, 100),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.integers(0, 10**6).map(str), NUMBERS, max_size=2),
    st.floats(0, 10) | st.just("Infinity"),
)


@st.composite
def tokens(draw: st.DrawFn) -> tuple[str, tuple[TokenDocument, ...]]:
    """A content and tokens in it, with words between them that came from no token."""
    content, found = "", []
    for text, gap in draw(st.lists(st.tuples(TEXTS, st.booleans()), max_size=4)):
        if gap:
            content += text
            continue
        found.append(
            TokenDocument(
                id=draw(INTEGERS),
                text=text,
                start=len(content),
                position=draw(INTEGERS),
                logprob=draw(NUMBERS),
                rank=draw(INTEGERS),
                sampled=draw(NUMBERS),
                entropy=draw(NUMBERS),
                temperature=draw(NUMBERS),
                kept=draw(INTEGERS),
                removed=draw(st.lists(REMOVALS, max_size=2).map(tuple)),
                candidates=draw(st.lists(CANDIDATES, max_size=2).map(tuple)),
            )
        )
        content += text
    return content, tuple(found)


def placed(count: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """Ranges of tokens that the user put there, of `count`."""
    bounds = st.lists(st.integers(0, count), max_size=4, unique=True).map(sorted)
    return bounds.map(lambda found: tuple(zip(found[::2], found[1::2], strict=False)))


@st.composite
def conversations(draw: st.DrawFn) -> ConversationDocument:
    """A tree of up to eight messages."""
    count = draw(st.integers(1, 8))
    parents = [
        None if number == 1 else draw(st.none() | st.integers(1, number - 1))
        for number in range(1, count + 1)
    ]
    messages = []
    for number, parent in enumerate(parents, 1):
        content, found = draw(tokens())
        below = [child for child, above in enumerate(parents, 1) if above == number]
        messages.append(
            MessageDocument(
                id=number,
                parent=parent,
                role=draw(st.sampled_from(["system", "user", "assistant"])),
                content=content,
                created=draw(DATES),
                chosen=draw(st.sampled_from([None, *below])),
                status=draw(st.sampled_from(["done", "stopped", "interrupted"])),
                model=draw(MODELS),
                sampling=draw(SAMPLINGS),
                finish=draw(st.none() | st.just("end")),
                notices=draw(st.lists(TEXTS, max_size=2).map(tuple)),
                edited_from=draw(st.none() | st.integers(1, number - 1)) if number > 1 else None,
                forked_at=draw(st.none() | st.integers(0, 9)),
                left_out=draw(st.booleans()),
                attachments_left_out=draw(st.booleans()),
                raw_prompt=draw(st.none() | st.lists(st.integers(0, 2**63 - 1), max_size=3).map(tuple)),
                placed=draw(placed(len(found))),
                tokens=found,
            )
        )
    roots = [number for number, above in enumerate(parents, 1) if above is None]
    return ConversationDocument(
        title=draw(TEXTS),
        title_is_users=draw(st.booleans()),
        created=draw(DATES),
        updated=draw(DATES),
        pinned=draw(st.booleans()),
        model=draw(MODELS),
        system_prompt=draw(TEXTS),
        sampling=draw(SAMPLINGS),
        chosen=draw(st.sampled_from(roots)),
        messages=tuple(messages),
    )

"""A library on disk, and tokens as an engine would give them."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from chatterm.library import Candidate, Library, Removal, Token

sys.path.insert(0, str(Path(__file__).parent))  # for `documents`


@pytest.fixture
def library_path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.sqlite3"


@pytest.fixture
def library(library_path: Path) -> Iterator[Library]:
    with Library(library_path) as library:
        yield library


@pytest.fixture
def make_tokens() -> Callable[[Sequence[str]], list[Token]]:
    """Tokens with the given texts and random but plausible numbers, ten candidates each."""

    def tokens(texts: Sequence[str], seed: int = 0) -> list[Token]:
        rng = random.Random(seed)
        return [
            Token(
                id=rng.randrange(49_152),
                text=text,
                position=place,
                logprob=-rng.expovariate(1),
                rank=rng.randint(1, 50),
                sampled=rng.random(),
                entropy=rng.uniform(0, 6),
                temperature=0.8,
                kept=rng.randint(1, 40),
                removed=(
                    Removal("top_k", 49_112, rng.random() / 10),
                    Removal("min_p", 30, rng.random() / 10),
                ),
                candidates=tuple(
                    Candidate(
                        id=rng.randrange(49_152),
                        text=f" word{rng.randrange(5_000)}",
                        logprob=-rng.expovariate(0.3),
                        rank=rank,
                        sampled=rng.random() if rank < 6 else 0.0,
                        removed_by=None if rank < 6 else "min_p",
                    )
                    for rank in range(1, 11)
                ),
            )
            for place, text in enumerate(texts, 40)
        ]

    return tokens

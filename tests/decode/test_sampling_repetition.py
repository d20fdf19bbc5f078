"""DRY's sequence breakers, and the starting values of a checkpoint."""

from __future__ import annotations

import pytest
import torch

from chatterm.decode.samplers.repetition import SequenceBreakers
from chatterm.decode.sampling import Sampler
from chatterm.sampling import SamplingParameters

PIECES = [b"a", b"b", b"\n", b" end.\n", b"x#", b"##", b"#", b"ab", "é".encode(), b"\xc3", b"#b", b"b#a"]


def encode(text: str) -> list[int]:
    """The longest piece first."""
    data, ids = text.encode(), []
    while data:
        piece = max((piece for piece in PIECES if data.startswith(piece)), key=len)
        ids.append(PIECES.index(piece))
        data = data[len(piece) :]
    return ids


def test_a_breaker_is_found_inside_tokens_and_across_them() -> None:
    breakers = SequenceBreakers(len(PIECES), PIECES.__getitem__, encode)
    assert breakers(("\n",)) == {2: ((),), 3: ((),)}
    assert breakers(("##",)) == {4: ((6,),), 5: ((),), 6: ((6,),)}
    assert breakers(("ab",)) == {0: ((1,),), 7: ((),), 11: ((1,),)}
    assert breakers(("#ab",)) == {4: ((7,),), 5: ((7,),), 6: ((7,),), 11: ((1,),)}


def test_several_breakers_add_up_and_empty_ones_do_nothing() -> None:
    breakers = SequenceBreakers(len(PIECES), PIECES.__getitem__, encode)
    assert breakers(("", "\n", "ab")) == {2: ((),), 3: ((),), 0: ((1,),), 7: ((),), 11: ((1,),)}
    assert breakers(()) == {}
    assert breakers(("a" * 1000,))[0] == ((0,) * 20,)  # both lengths are bounded


def test_a_breaker_is_not_looked_for_inside_a_character() -> None:
    assert SequenceBreakers(len(PIECES), PIECES.__getitem__, encode)(("é",)) == {8: ((),)}


def test_the_answer_is_remembered() -> None:
    breakers = SequenceBreakers(len(PIECES), PIECES.__getitem__, encode)
    assert breakers(("\n",)) is breakers(("\n",))


PARAMETERS = SamplingParameters(
    temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, dry_multiplier=1.0, dry_base=2.0, dry_allowed_length=2
)


def losses(history: list[int], **changes: object) -> dict[int, float]:
    """What DRY takes from the logits, relative to token 11, which never occurs."""
    sampler = Sampler(len(PIECES), SequenceBreakers(len(PIECES), PIECES.__getitem__, encode))
    distribution = sampler.distribution(
        torch.zeros(len(PIECES)),
        history,
        PARAMETERS.replace(dry_sequence_breakers=("\n",)).replace(**changes),
    )
    log_sampled = distribution.sampled.log()
    loss = (log_sampled[11] - log_sampled).tolist()
    return {token: round(value, 4) for token, value in enumerate(loss) if abs(value) > 1e-6}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([0, 1, 5, 0, 1], {5: 1.0}),  # "ab" again: what followed it loses 1 · 2^0
        ([4, 0, 1, 5, 4, 0, 1], {5: 2.0}),  # one token longer: 2^1
        ([4, 0, 1, 5, 6, 0, 1, 6, 4, 0, 1], {5: 2.0, 6: 1.0}),  # two continuations, each by its own match
        ([0, 1, 5, 6, 1], {}),  # a match of one token is allowed
        ([0, 1, 2, 0, 1], {}),  # the continuation is a breaker itself
        ([4, 0, 1, 5, 4, 2, 0, 1], {5: 1.0}),  # the match does not reach across a breaker
        ([0, 1, 5, 0, 2, 1], {}),
        ([0, 0, 0, 0, 0], {0: 4.0}),  # the match may overlap the ending: four tokens long
        ([0, 1], {}),
        ([], {}),
    ],
)
def test_dry_takes_from_what_would_continue_a_repetition(
    history: list[int], expected: dict[int, float]
) -> None:
    assert losses(history) == pytest.approx(expected)


def test_dry_looks_back_as_far_as_it_is_told() -> None:
    history = [0, 1, 5, 6, 6, 0, 1]
    assert losses(history) == {5: 1.0}
    assert losses(history, dry_penalty_last_n=6) == {}
    assert losses(history, dry_penalty_last_n=0) == {}


def test_the_growth_of_the_dry_penalty_is_bounded() -> None:
    """Past the largest float32 it grows no more, so a long repetition costs no more time than a short one."""
    distribution = Sampler(3).distribution(
        torch.tensor([5.0, 0.0, 0.0]), [0] * 5000, PARAMETERS.replace(dry_base=1.75)
    )
    assert float(distribution.sampled[0]) == 0.0
    assert distribution.kept >= 2

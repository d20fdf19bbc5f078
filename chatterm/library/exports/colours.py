"""The colour of a token in a picture: how surprising it was. Five steps, as on the screen."""

from __future__ import annotations

import math

from chatterm import inert
from chatterm.library.records import Token

SURPRISE_NATS = (0.5, 1.5, 3.0, 5.0)
"""Where the steps after the first begin, in nats: probabilities of 61, 22, 5 and 0.7 %."""

LEGEND = ("over 61 %", "22–61 %", "5–22 %", "0.7–5 %", "under 0.7 %")
DARK = ("#7f95a6", "#5fb0a5", "#d3bd5c", "#ea9444", "#f4655b")
LIGHT = ("#6c7f90", "#1f857b", "#947800", "#bd5a10", "#c0272d")
MARK_FROM_STEP = 3
"""From this step on a token is underlined too, for those who see no colour."""


def step(logprob: float) -> int:
    """The step, 0 to 4, of a token with this log-probability. What is no number is the most surprising."""
    return sum(not -logprob < bound for bound in SURPRISE_NATS)


def tooltip(token: Token) -> str:
    """What a token was chosen from, in lines; inert."""
    lines = [
        f"{inert.token(token.text)}  {percent(token.logprob)} of the model, rank {token.rank}, "
        f"{token.sampled:.1%} as sampled at temperature {token.temperature:g}",
        f"entropy {token.entropy:.2f} nats, {token.kept} kept",
    ]
    for candidate in token.candidates:
        fate = f"removed by {candidate.removed_by}" if candidate.removed_by else f"{candidate.sampled:.1%}"
        lines.append(f"{inert.token(candidate.text)}  {percent(candidate.logprob)}  {inert.line(fate)}")
    return "\n".join(lines)


def percent(logprob: float) -> str:
    """A log-probability in percent: "74.0 %", "0.003 %"; "?" for what is no probability."""
    if not logprob <= 0:
        return "100.0 %" if 0 < logprob < 0.001 else "?"
    share = math.exp(logprob) * 100
    return f"{share:.1f} %" if share >= 0.1 or share == 0 else f"{share:.2g} %"

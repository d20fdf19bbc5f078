"""A checkpoint's rules in words: what it says must not come, or ends a reply."""

from __future__ import annotations

from chatterm.language import _, mark, several
from chatterm.records.generation import RuleCounts

STEPS = {
    "suppressed": mark("suppressed"),
    "bad_words": mark("bad words"),
    "no_repeat": mark("repeats"),
    "too_short": mark("too short to end"),
    "sequence_bias": mark("bias"),
}
"""The steps of the sampler that apply them, as people call them."""


def in_words(rules: RuleCounts) -> str:
    """What there is, for one line."""
    stated = (
        (
            rules.suppressed,
            several("{count} token suppressed", "{count} tokens suppressed", rules.suppressed),
        ),
        (rules.at_beginning, _("{count} suppressed at the beginning")),
        (rules.bad_words, _("{count} bad words")),
        (rules.biased, _("{count} biased sequences")),
        (rules.no_repeat, _("no {count} tokens twice")),
        (rules.least, _("at least {count} tokens")),
        (rules.stops, several("{count} stop text", "{count} stop texts", rules.stops)),
    )
    return ", ".join(text.format(count=count) for count, text in stated if count)

"""The session's side of edits: which are in force, and clean and edited side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import psutil

from chatterm.decode.context import Context
from chatterm.decode.text import ReplyText
from chatterm.engine.numbers import to_distribution
from chatterm.errors import UserError
from chatterm.glass import selfcheck
from chatterm.glass.compare import Pair, Written
from chatterm.glass.edits import changes, describe, edits_of
from chatterm.records.generation import Distribution
from chatterm.records.inspection import (
    AnyEdit,
    ApplyEdits,
    Compare,
    Compared,
    ComparedToken,
    EditsApplied,
    SelfChecked,
)

if TYPE_CHECKING:
    from chatterm.engine.session import Session

CLEAN_SHARE = 0.25
"""Share of the free memory up to which the clean keys are kept while edits are in force."""

Stopped = Callable[[], bool]
"""Whether the client wants the answer no more; asked often."""


def apply_edits(session: Session, question: ApplyEdits) -> EditsApplied:
    """Compute with these edits from now on, and with no others.

    Edited keys have a context of their own. The clean one stays as it is, so that taking the edits back costs
    nothing, unless it takes too much of the memory; then it is read again.

    Raises:
        UserError: an edit cannot be made; nothing changes.
    """
    asked = tuple(edit for edit in question.edits if changes(edit))
    if asked != session.edits:
        edits = edits_of(question.edits, session.decoder, session.encode_text)
        session.context = session.clean
        if edits:
            if session.clean.cache_bytes > psutil.virtual_memory().available * CLEAN_SHARE:
                session.clean = Context(session.decoder, session.clean.capacity)
            session.context = Context(session.decoder, session.clean.capacity, edits)
        session.edits = asked
    return EditsApplied(described(asked))


def described(edits: Iterable[AnyEdit]) -> tuple[str, ...]:
    """Those of the edits that change something, in words."""
    return tuple(describe(edit) for edit in edits if changes(edit))


def compare(session: Session, question: Compare, stopped: Stopped) -> Compared:
    """The same step, and the same continuation, without and with edits. The conversation's cache is not used.

    Raises:
        UserError: the prompt or an edit cannot be used, or the client stopped it.
    """
    ids = session.encode(question.prompt).ids
    edits = edits_of(question.edits, session.decoder, session.encode_text)
    most = max(0, min(question.max_tokens, session.context.capacity - len(ids)))
    pair = Pair(session.decoder, len(ids) + most, edits)
    go_on = _unless(stopped)
    pair.read(ids, go_on)

    def distribution(context: Context) -> Distribution:
        step = session.new_sampler().distribution(context.logits_after(len(ids)), ids, question.sampling)
        return to_distribution(step, session.tokenizer, position=len(ids), candidates=question.candidates)

    clean, edited = distribution(pair.clean), distribution(pair.edited)
    kl = pair.kl(len(ids))
    replies = None
    if most:
        replies = pair.write(
            ids,
            session.new_sampler,
            question.sampling,
            ends=session.tokenizer.end_ids,
            most=most,
            go_on=go_on,
        )
    return Compared(
        described=described(question.edits),
        clean=clean,
        edited=edited,
        kl=kl,
        clean_reply=_tokens(session, replies.clean) if replies else (),
        edited_reply=_tokens(session, replies.edited) if replies else (),
        kl_along=tuple(replies.kl) if replies else (),
    )


def self_check(session: Session, stopped: Stopped) -> SelfChecked:
    """Run every identity on the loaded checkpoint, without the edits in force.

    Raises:
        UserError: the client stopped it.
    """
    ids, go_on = session.encode_text(selfcheck.TEXT), _unless(stopped)
    found = []
    for identity in selfcheck.identities(
        session.decoder, ids, session.new_sampler(), exact=session.info.exact
    ):
        found.append(identity)
        go_on()
    return SelfChecked(tuple(found))


def _unless(stopped: Stopped) -> Callable[[], None]:
    def go_on() -> None:
        if stopped():
            raise UserError("Stopped before the answer was there.")

    return go_on


def _tokens(session: Session, written: Sequence[Written]) -> tuple[ComparedToken, ...]:
    """With their increments of the text, as in a reply: an end token has none."""
    text, ends = ReplyText(session.tokenizer, strip=False), session.tokenizer.end_ids
    pieces = ["" if token in ends else text.push(token) for token, _ in written]
    if pieces:
        pieces[-1] += text.flush()
    return tuple(
        ComparedToken(token, piece, logprob) for (token, logprob), piece in zip(written, pieces, strict=True)
    )

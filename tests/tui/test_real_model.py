"""The interface on the real engine process with the real default model."""

from __future__ import annotations

import math

import pytest

from chatterm.chat.branches import Branch
from chatterm.engine.client import EngineProcess
from chatterm.library import AsyncLibrary
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp
from chatterm.tui.widgets.next_token import NextTokenPanel

pytestmark = pytest.mark.model


async def test_a_question_is_answered_and_the_temperature_turned(default_model_path, monkeypatch):
    import conftest

    monkeypatch.setattr(conftest, "PATIENCE", 120.0)
    app = ChattermApp(
        Settings(model=str(default_model_path), sampling={"seed": 7}),
        start_engine=EngineProcess.start,
        library=AsyncLibrary.in_memory,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        it = conftest.Chat(app, pilot, knobs=None)
        await it.say("Write a long story about the sea.")
        await it.until(lambda: (reply := it.session.last_reply) is not None and len(reply.tokens) >= 3)
        live = it.session.last_reply
        await it.press("alt+up", "alt+up")
        before = len(live.tokens)
        await it.until(lambda: not live.live or len(live.tokens) > before + 4)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        assert live.text.startswith("".join(token.text for token in live.tokens)[:20])
        assert live.tokens[0].temperature == 0.8
        assert live.finish == "end" or live.tokens[-1].temperature == 0.9
        for token in live.tokens:
            assert math.fsum(c.sampled for c in token.distribution.candidates) <= 1 + 1e-6
        await it.press("f2", "left", "left", "alt+down")
        await it.until(lambda: it.session.lookout.look.recomputed)
        look = it.session.lookout.look
        drawn = next(c for c in look.distribution.candidates if c.id == look.token.id)
        assert math.isclose(drawn.logprob, look.token.logprob, abs_tol=2e-3)
        assert it.session.info.parameters == 134_515_008
        await it.press("ctrl+q")
        await app._leaving
    assert app.return_code == 0


async def test_a_reply_is_forked_at_a_token_and_the_same_seed_goes_on_alike(default_model_path, monkeypatch):
    import conftest

    monkeypatch.setattr(conftest, "PATIENCE", 120.0)
    app = ChattermApp(
        Settings(model=str(default_model_path), sampling={"seed": 7, "temperature": 0.9}),
        start_engine=EngineProcess.start,
        library=AsyncLibrary.in_memory,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        it = conftest.Chat(app, pilot, knobs=None)
        await it.say("Write a long story about 水 and the sea. 🙂")
        await it.until(lambda: (reply := it.session.last_reply) is not None and len(reply.tokens) >= 12)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        first = it.session.last_reply
        at = len(first.tokens) - 4
        it.session.fork(Branch(first, at), (first.tokens[at].id,))
        await it.until(lambda: it.session.last_reply is not first)
        branch = it.session.last_reply
        await it.until(lambda: not branch.live or len(branch.tokens) > at + 5)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        assert branch.tokens[:at] == first.tokens[:at]
        assert branch.ids(len(first.tokens)) == first.ids(), "the same choices from the same token on"
        put, drawn = branch.tokens[at], first.tokens[at]
        assert (put.text, put.rank) == (drawn.text, drawn.rank)
        assert math.isclose(put.logprob, drawn.logprob, abs_tol=2e-3)
        await it.press("f2", "home", "enter")
        panel = app.chat.query_one(NextTokenPanel)
        await it.until(lambda: panel.has_focus and panel.chosen is not None)
        for _ in range(30):
            await it.press("down")
        await it.until(lambda: panel.chosen is not None and panel.chosen.rank > 12)
        other = panel.chosen.id
        await it.press("enter")
        await it.until(lambda: it.session.last_reply not in (first, branch))
        third = it.session.last_reply
        await it.until(lambda: not third.live or len(third.tokens) > 3)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        assert third.tokens[0].id == other and third.prompt == first.prompt
        await it.until(lambda: "‹ 3/3 ›" in it.transcript())
        await it.press("ctrl+l")
        await it.until(lambda: "<|im_start|>" in it.transcript())
        assert "·水" in it.transcript() or "<0x" in it.transcript()
        await it.press("ctrl+q")
        await app._leaving

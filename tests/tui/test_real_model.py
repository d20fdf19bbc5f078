"""The interface on the real engine process with the real default model."""

from __future__ import annotations

import math

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.library import AsyncLibrary
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp

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
    assert app.return_code == 0

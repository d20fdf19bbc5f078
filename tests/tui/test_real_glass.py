"""Every view of the glass box on the real engine process with the real default model."""

from __future__ import annotations

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.library import AsyncLibrary
from chatterm.records.inspection import ScaleHead
from chatterm.settings import Settings
from chatterm.tui.app import ChattermApp
from chatterm.tui.widgets.inspector import Inspector

pytestmark = pytest.mark.model

FILLED = {
    "lens": "block 29:",
    "attention": "first token",
    "contributions": "sum ",
    "neurons": "all layers",
    "embeddings": "state after block 29",
}


async def test_each_view_opens_on_a_word_and_a_head_is_switched_off(default_model_path, monkeypatch):
    import conftest

    monkeypatch.setattr(conftest, "PATIENCE", 120.0)
    app = ChattermApp(
        Settings(model=str(default_model_path), sampling={"seed": 7}),
        start_engine=EngineProcess.start,
        library=AsyncLibrary.in_memory,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        it = conftest.Chat(app, pilot, knobs=None)
        await it.say("Name three colours.")
        await it.until(lambda: (reply := it.session.last_reply) is not None and len(reply.tokens) >= 5)
        await it.press("escape")
        await it.until(lambda: it.session.live is None)
        await it.press("f2", "left", "left")
        inspector = app.chat.query_one(Inspector)
        for key, sign in FILLED.items():
            app.chat.action_open_view(key)
            await it.until(lambda sign=sign: inspector.inspecting.idle and sign in it.text())
            assert "…" not in inspector.view.render_line(0).text
        token = it.session.lookout.look.token
        app.chat.action_open_view("lens")
        await it.until(lambda: f"rank {token.rank}" in it.text())
        inspector.edits.switch(ScaleHead(12, 3))
        await it.until(lambda: inspector.edits.in_force == (ScaleHead(12, 3),))
        await it.until(lambda: "✎ edited: head 12.3 off" in it.text())
        inspector.edits.all_off()
        await it.until(lambda: "✎" not in it.text())
        await it.until(lambda: inspector.inspecting.idle and f"rank {token.rank}" in it.text())
        await it.press("ctrl+q")
        await app._leaving
    assert app.return_code == 0

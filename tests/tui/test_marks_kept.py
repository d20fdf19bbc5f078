"""What the user did to messages is there after a restart, and in another window."""

from __future__ import annotations

from functools import partial

import pytest
from scripted_model import HAIKU, WORDS

from chatterm.chat.branches import Branch
from chatterm.library import AsyncLibrary, Library
from chatterm.records.generation import Tokens


@pytest.fixture
def kept(chat, tmp_path):
    """Interfaces on one library, one after the other or at once."""
    return partial(chat, library=partial(AsyncLibrary.open_library, tmp_path / "library.sqlite3"))


async def test_what_is_left_out_stays_left_out(kept):
    async with kept() as it:
        await it.ask("one two three")
        await it.ask("four five")
        first, answer = it.session.turns[:2]
        await it.session.leave_out({first: (True, False), answer: (True, False)})
    async with kept(resume=True) as it:
        await it.until(lambda: len(it.session.turns) == 4)
        assert [turn.left_out for turn in it.session.turns] == [True, True, False, False]
        await it.until(lambda: "not sent to the model" in it.transcript())
        await it.ask("six")
        assert [m.content for m in it.knobs.chats[-1].messages if m.role == "user"] == ["four five", "six"]
        first = it.session.turns[0]
        async with kept(resume=True) as other:
            await other.until(lambda: len(other.session.turns) == 6)
            await other.session.leave_out({other.session.turns[0]: (False, True)})
        await it.session.jump(first.number)
        assert not it.session.turns[0].left_out and it.session.turns[0].quotes_left_out


async def test_what_the_user_put_there_is_known_after_a_restart(kept):
    async with kept() as it:
        reply = await it.ask()
        it.session.fork(Branch(reply, 6), (WORDS.index(" salt"), WORDS.index(" wind")))
        await it.until(lambda: it.session.last_reply is not reply and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")
    async with kept(resume=True) as it:
        await it.until(lambda: len(it.session.turns) == 2)
        branch = it.session.last_reply
        assert [n for n in range(len(HAIKU)) if branch.put_there(n)] == [6, 7]
        await it.ready()
        it.session.fork(Branch(branch, 7), (WORDS.index(" moon"),))
        await it.until(lambda: it.session.last_reply is not branch and it.session.live is None)
        again = it.session.last_reply
        assert [n for n in range(len(HAIKU)) if again.put_there(n)] == [6, 7]


async def test_a_reply_to_raw_text_goes_on_behind_that_text_after_a_restart(kept):
    ids = (7, 5, 3)
    async with kept() as it:
        await it.ask()
        it.knobs.go.clear()
        it.knobs.hold_at = 4
        it.session.answer_raw(ids)
        await it.until(lambda: it.session.live is not None and len(it.session.live.tokens) == 4)
        it.session.stop()
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")
        it.knobs.hold_at = None
    async with kept(resume=True) as it:
        await it.ready()
        await it.until(lambda: len(it.session.turns) == 2)
        reply = it.session.last_reply
        assert reply.raw and reply.prompt == ids
        await it.until(lambda: "answers raw text that you edited" in it.transcript())
        written = reply.ids()
        it.session.continue_reply(reply)
        await it.until(lambda: it.session.last_reply is not reply and it.session.live is None)
        assert it.knobs.chats[-1] == Tokens(ids, written)
        longer = it.session.last_reply
        assert longer.raw and longer.prompt == ids and longer.ids()[: len(written)] == written
        assert len(longer.tokens) == len(HAIKU)


async def test_two_windows_that_continue_one_reply_each_have_their_own(kept, tmp_path):
    async with kept() as it:
        await it.hold(at=4)
        it.session.stop()
        await it.until(lambda: it.session.live is None and it.session.keeper.state == "saved")
        it.knobs.hold_at = None
        shown = it.session.last_reply
        async with kept(resume=True) as other:
            await other.ready()
            await other.until(lambda: len(other.session.turns) == 2)
            other.session.continue_reply(other.session.last_reply)
            await other.until(lambda: len(other.session.last_reply.tokens) == len(HAIKU))
            await other.until(lambda: other.session.live is None and other.session.keeper.state == "saved")
            assert other.session.last_reply.number == shown.number
        it.session.continue_reply(shown)
        await it.until(lambda: it.session.last_reply is not shown and it.session.live is None)
        await it.until(lambda: it.session.keeper.state == "saved")
        mine = it.session.last_reply
        assert mine.number != shown.number and (mine.sibling, mine.siblings) == (2, 2)
    with Library(tmp_path / "library.sqlite3") as library:
        assert [library.message(number).content for number in (shown.number, mine.number)] == [
            "".join(HAIKU)
        ] * 2

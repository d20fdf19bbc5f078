"""Short replies to one prompt are written in the same steps, and are what each would be alone."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable

import pytest

from chatterm.decode.branching import Branching
from chatterm.engine import wire
from chatterm.engine.client import EngineProcess
from chatterm.engine.inbox import Inbox
from chatterm.engine.messages import (
    AnyEvent,
    Failed,
    Finished,
    Generate,
    LoadOptions,
    Started,
    Stop,
    TokenEvent,
)
from chatterm.engine.reply import Control, Joining, ReplyWriter, alike
from chatterm.engine.session import Session
from chatterm.engine.worker import Worker
from chatterm.errors import UserError
from chatterm.records.generation import Text, Tokens
from chatterm.sampling import SamplingParameters
from tests.faults import specimens

PROMPT = Tokens((7, 5, 9, 5))
SAMPLING = SamplingParameters(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0)
LENGTH = 12
GOES_ON = Control(lambda: False, lambda: None)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A tiny checkpoint."""
    folder = specimens.folder(tmp_path_factory.mktemp("together") / "checkpoint")
    return Session(folder, LoadOptions(exact=True), lambda done, total: None)


def request(number: int, *, length: int | None = LENGTH, prompt: Tokens | Text = PROMPT) -> Generate:
    return Generate(
        request=number, prompt=prompt, sampling=SAMPLING.replace(seed=number), max_tokens=length, candidates=3
    )


def write(session: Session, first: Generate, waiting: Callable[[], Joining | None]) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    ReplyWriter(session, first, events.append, GOES_ON, waiting).write()
    return events


def queue(*requests: Generate, control: Control = GOES_ON, after: int = 0) -> Callable[[], Joining | None]:
    """These wait; from the second on, only when somebody has asked so often."""
    left, asked = list(requests), [0]

    def take() -> Joining | None:
        asked[0] += 1
        if not left or (asked[0] > 1 and asked[0] <= after):
            return None
        return Joining(left.pop(0), control)

    return take


def of(events: list[AnyEvent], number: int) -> list[AnyEvent]:
    return [event for event in events if event.request == number]


def drawn(events: list[AnyEvent], number: int) -> list[tuple[int, float]]:
    """The tokens of a reply with their log-probabilities."""
    return [(event.id, event.logprob) for event in of(events, number) if isinstance(event, TokenEvent)]


def text(events: list[AnyEvent], number: int) -> str:
    return "".join(event.text for event in of(events, number) if isinstance(event, TokenEvent | Finished))


@pytest.mark.parametrize("after", [0, 5])
def test_replies_written_together_are_what_each_is_alone(session: Session, after: int) -> None:
    """Whether they are there at first or join later; each is told of as if it were the only one."""
    others = [request(number) for number in range(2, 7)]
    together = write(session, request(1), queue(*others, after=after))
    for number in range(1, 7):
        alone = write(session, request(number), lambda: None)
        mine = of(together, number)
        assert isinstance(mine[0], Started) and isinstance(mine[-1], Finished)
        assert mine[-1].reason == of(alone, number)[-1].reason
        assert [token for token, _ in drawn(together, number)] == [token for token, _ in drawn(alone, number)]
        for (_, one), (_, other) in zip(drawn(together, number), drawn(alone, number), strict=True):
            assert one == pytest.approx(other, abs=1e-4)
        assert text(together, number) == text(alone, number)
    assert session.context.tokens[: len(PROMPT.ids)] == list(PROMPT.ids)


def test_one_of_several_is_stopped_and_steered_by_itself(session: Session) -> None:
    tokens = [0]

    def stopped() -> bool:
        tokens[0] += 1
        return tokens[0] == 3

    control = Control(stopped, lambda: SAMPLING.replace(temperature=0.0))
    events = write(session, request(1), queue(request(2), control=control))
    assert len(drawn(events, 2)) == 3
    assert [event.reason for event in events if isinstance(event, Finished) and event.request == 2] == [
        "stopped"
    ]
    assert all(event.temperature == 0.0 for event in of(events, 2) if isinstance(event, TokenEvent))
    alone = write(session, request(1), lambda: None)
    assert [token for token, _ in drawn(events, 1)] == [token for token, _ in drawn(alone, 1)]


def test_more_replies_than_there_is_room_for_wait_for_a_place(session: Session) -> None:
    others = [request(number, length=1 + number % 5) for number in range(2, 30)]
    events = write(session, request(1), queue(*others))
    assert sorted(event.request for event in events if isinstance(event, Finished)) == list(range(1, 30))


def test_only_short_replies_to_the_same_prompt_are_written_together() -> None:
    first = request(1)
    assert alike(first, request(2)) and alike(first, request(2, length=3))
    assert not alike(first, request(2, length=LENGTH + 1))  # no room is kept for so many
    assert not alike(first, request(2, length=None)) and not alike(request(1, length=None), request(2))
    assert not alike(first, request(2, prompt=Tokens((7, 5, 9, 6)))) and not alike(
        first, request(2, length=0)
    )


def test_whatever_cannot_go_on_is_closed_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of three has been stopped when the model's numbers turn out to be none."""

    def no_numbers(self: Branching, tokens: dict[int, int]) -> None:
        raise UserError("The model gave no numbers.")

    monkeypatch.setattr(Branching, "read", no_numbers)
    write(session, request(9, length=1), lambda: None)  # the prompt is read, so the first token is drawn
    asked = [request(1), request(2), request(3), Stop(request=1)]
    ended = threading.Event()
    inbox = Inbox(io.BytesIO(b"".join(map(wire.frame, asked))), ended.set)
    assert ended.wait(60)
    answers = io.BytesIO()
    worker = Worker(inbox, answers)
    worker._session = session
    worker._answer(inbox.next())
    events, rest = [], answers.getvalue()
    while rest:
        length = wire.body_length(rest[: wire.HEADER_BYTES])
        events.append(wire.event_decoder.decode(rest[wire.HEADER_BYTES :][:length]))
        rest = rest[wire.HEADER_BYTES + length :]
    closing = [event for event in events if isinstance(event, Finished | Failed)]
    assert [(event.request, type(event)) for event in closing] == [(1, Finished), (2, Failed), (3, Failed)]
    assert closing[0].reason == "stopped" and closing[1].sentence == "The model gave no numbers."


@pytest.mark.asyncio(loop_scope="module")
async def test_the_engine_writes_several_replies_of_the_real_model_at_once(engine: EngineProcess) -> None:
    """Five that are asked for at once are told of in turns, and are those that are asked for one by one."""
    order: list[int] = []

    async def reply(seed: int, told: list[int]) -> str:
        sampling = SamplingParameters(temperature=0.9, seed=seed)
        said = ""
        async for event in engine.generate(Text("Once upon a time"), sampling, max_tokens=12):
            if isinstance(event, TokenEvent):
                told.append(seed)
            if isinstance(event, TokenEvent | Finished):
                said += event.text
        return said

    one_by_one = [await reply(seed, []) for seed in range(5)]
    assert await asyncio.gather(*(reply(seed, order) for seed in range(5))) == one_by_one
    assert len(set(order[-5:])) > 1  # they came to their ends together

"""Every message comes out of the wire as it went in, and a broken stream is known for one."""

from __future__ import annotations

import io
import math
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.engine import messages, wire
from chatterm.engine.inbox import Inbox
from chatterm.records import generation as records
from chatterm.sampling import SamplingParameters

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
floats = st.floats(allow_nan=False)

candidates = st.builds(
    records.Candidate,
    st.integers(0, 300_000), texts, floats, st.integers(1, 300_000), floats, st.none() | texts,
)  # fmt: skip
distributions = st.builds(
    records.Distribution,
    position=st.integers(0, 1 << 20),
    entropy=floats,
    kept=st.integers(0, 300_000),
    removed=st.lists(st.builds(records.Removal, texts, st.integers(0, 1000), floats), max_size=3).map(tuple),
    candidates=st.lists(candidates, max_size=5).map(tuple),
)
token_events = st.builds(
    messages.TokenEvent,
    request=st.integers(0, 1 << 30),
    id=st.integers(0, 300_000),
    text=texts,
    logprob=floats,
    rank=st.integers(1, 300_000),
    sampled=floats,
    distribution=distributions,
    temperature=floats,
)
prompts = st.one_of(
    st.builds(records.Text, texts),
    st.builds(records.Tokens, st.lists(st.integers(0, 300_000)).map(tuple)),
    st.builds(
        records.Chat,
        st.lists(st.builds(records.Message, st.sampled_from(["system", "user", "assistant"]), texts)).map(
            tuple
        ),
        st.booleans(),
    ),
)
generates = st.builds(
    messages.Generate,
    request=st.integers(0, 1 << 30),
    prompt=prompts,
    sampling=st.builds(
        SamplingParameters,
        temperature=st.floats(0, 100),
        seed=st.integers(0, 2**63 - 1),
        logit_bias=st.dictionaries(st.integers(0, 10), st.sampled_from([-math.inf, 1.5])),
    ),
    stop=st.lists(texts).map(tuple),
)


def test_no_two_messages_share_a_tag() -> None:
    for union in (messages.AnyRequest, messages.AnyEvent):
        tags = [kind.__struct_config__.tag for kind in union.__args__]
        assert len(set(tags)) == len(tags)


@given(token_events)
def test_events_survive_the_wire(event: messages.TokenEvent) -> None:
    framed = wire.frame(event)
    assert wire.body_length(framed[: wire.HEADER_BYTES]) == len(framed) - wire.HEADER_BYTES
    assert wire.event_decoder.decode(framed[wire.HEADER_BYTES :]) == event


@given(generates)
def test_requests_survive_the_wire(request: messages.Generate) -> None:
    assert wire.request_decoder.decode(wire.frame(request)[wire.HEADER_BYTES :]) == request


def test_an_absurd_length_is_refused() -> None:
    with pytest.raises(wire.BrokenFrameError):
        wire.body_length(b"\xff\xff\xff\xff")


def test_a_value_out_of_range_is_refused() -> None:
    wrong = wire.encoder.encode({"type": "set-sampling", "request": 1, "sampling": {"temperature": -1.0}})
    with pytest.raises(msgspec.ValidationError, match="temperature"):
        wire.request_decoder.decode(wrong)


def inbox_of(*requests: messages.AnyRequest) -> tuple[Inbox, threading.Event]:
    ended = threading.Event()
    stream = io.BytesIO(b"".join(wire.frame(request) for request in requests))
    inbox = Inbox(stream, on_end=ended.set)
    assert ended.wait(5)
    return inbox, ended


def test_stop_and_steering_overtake_the_line() -> None:
    hot, cold = SamplingParameters(temperature=2), SamplingParameters(temperature=0)
    inbox, _ = inbox_of(
        messages.Tokenize(request=1, text="a"),
        messages.SetSampling(request=7, sampling=hot),
        messages.SetSampling(request=7, sampling=cold),
        messages.Stop(request=7),
    )
    assert inbox.stopped(7)
    assert inbox.steering(7) == cold, "the latest wins"
    assert inbox.steering(7) is None, "and is taken once"
    assert inbox.next().request == 1
    inbox.forget(7)
    assert not inbox.stopped(7)


def test_take_leaves_the_others_in_order() -> None:
    inbox, _ = inbox_of(*(messages.Tokenize(request=number, text="") for number in range(1, 6)))
    taken = inbox.take(lambda request: request.request == 3)
    assert taken is not None and taken.request == 3
    assert inbox.take(lambda request: request.request == 9) is None
    assert [inbox.next().request for _ in range(4)] == [1, 2, 4, 5]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_inbox_without_memory_ends() -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise MemoryError

    ended = threading.Event()
    Inbox(Full(), on_end=ended.set)
    assert ended.wait(5)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x03\x00\x00\x00abc", b"\x09\x00"])
def test_garbage_ends_the_inbox(garbage: bytes) -> None:
    ended = threading.Event()
    Inbox(io.BytesIO(wire.frame(messages.Tokenize(request=1, text="")) + garbage), on_end=ended.set)
    assert ended.wait(5)

"""The step that a GPU captures computes what the decoder computes, and is used only where it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import CASES
from chatterm.decode.context import Context
from chatterm.model import static
from chatterm.model.cache import Cache
from chatterm.model.decoder import Decoder
from chatterm.model.graphs import PATIENCE, GraphSteps, Run
from chatterm.model.load import load_decoder
from chatterm.model.static import StaticStep, bucket
from chatterm.model.taps import BLOCK_POINTS, OUTER_POINTS, Taps

NAMES = [case.name for case in CASES]
ONE_PER_FAMILY = list({case.family: case.name for case in CASES}.values())
WINDOWED = [name for name in NAMES if "window" in name and "no window" not in name and "old" not in name]
LLAMA, GEMMA = "llama, untied", "gemma3_text, windows, two rotary bases"
TOKENS = torch.randint(3, 96, (70,), generator=torch.Generator().manual_seed(5))


def at_once(run: Run) -> Run:
    """Stands for a capture: the same step, on the same memory, whenever it is asked for."""
    return run


@pytest.fixture
def with_graphs(tiny_decoder, monkeypatch) -> Iterator[Callable[..., Decoder]]:
    """A tiny decoder whose steps are captured, over 8, 16, 32 … positions."""
    monkeypatch.setattr(static, "SMALLEST", 8)
    changed: list[Decoder] = []

    def make(name: str, capture: Callable[[Run], Run] = at_once) -> Decoder:
        decoder = tiny_decoder(name)
        decoder.graphs = GraphSteps(decoder, capture)
        changed.append(decoder)
        return decoder

    yield make
    for decoder in changed:
        decoder.graphs = None


def stepped(decoder: Decoder, cache: Cache, tokens: Tensor = TOKENS) -> Tensor:
    """Log-probabilities `(T, vocabulary)`, one token at a time."""
    return torch.stack([decoder(token.view(1), cache) for token in tokens]).log_softmax(-1)


def ordinary(decoder: Decoder, tokens: Tensor = TOKENS) -> Tensor:
    graphs, decoder.graphs = decoder.graphs, None
    try:
        return stepped(decoder, decoder.new_cache(len(tokens)), tokens)
    finally:
        decoder.graphs = graphs


@pytest.mark.parametrize("name", NAMES)
def test_a_captured_step_is_the_ordinary_step(name: str, with_graphs) -> None:
    decoder = with_graphs(name)
    cache = decoder.new_cache(len(TOKENS))
    ours = stepped(decoder, cache)
    torch.testing.assert_close(ours, ordinary(decoder), rtol=0, atol=3e-5)
    assert decoder.graphs.refusal == "" and cache.length == len(TOKENS)
    assert decoder.graphs.in_use and decoder.way == "CUDA graph"


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_may_be_gathered_from_a_long_text(name: str, with_graphs, monkeypatch) -> None:
    monkeypatch.setattr(static, "GATHERED_SHARE", 1)
    decoder = with_graphs(name)
    ours = stepped(decoder, decoder.new_cache(len(TOKENS)))
    torch.testing.assert_close(ours, ordinary(decoder), rtol=0, atol=3e-5)
    assert decoder.graphs.in_use


def test_most_steps_are_captured_ones(with_graphs) -> None:
    runs: list[int] = []

    def counted(run: Run) -> Run:
        return lambda: runs.append(0) or run()

    decoder = with_graphs(LLAMA, counted)
    stepped(decoder, decoder.new_cache(70))
    captured = 5  # over 8, 16, 32, 64 and all 70 positions: each is run once more for its check
    assert len(runs) == len(TOKENS) - PATIENCE - captured + captured


def test_a_rotation_that_depends_on_the_length_needs_the_ordinary_step(with_graphs) -> None:
    decoder = with_graphs("llama, dynamic")
    assert decoder.rotation_is_fixed(32) and not decoder.rotation_is_fixed(33)
    cache = decoder.new_cache(70)
    stepped(decoder, cache)
    with pytest.raises(static.NotFixedError):
        StaticStep(decoder, cache, 70, 33)


def test_it_goes_on_after_a_text_is_cut_and_read_again(with_graphs) -> None:
    decoder = with_graphs(GEMMA)
    cache = decoder.new_cache(len(TOKENS))
    stepped(decoder, cache)
    cache.values[:, :, 20:] = float("nan")  # what was left of a longer text need not be numbers
    cache.truncate(20)
    other = torch.cat([TOKENS[:20], TOKENS[20:60].flip(0)])
    ours = stepped(decoder, cache, other[20:])
    torch.testing.assert_close(ours, ordinary(decoder, other)[20:], rtol=0, atol=3e-5)


def test_it_follows_the_cache_to_larger_memory(with_graphs, monkeypatch) -> None:
    monkeypatch.setattr("chatterm.model.cache.FIRST", 16)
    decoder = with_graphs(LLAMA)
    cache = decoder.new_cache(len(TOKENS))
    first = cache.keys
    ours = stepped(decoder, cache)
    assert cache.keys is not first
    torch.testing.assert_close(ours, ordinary(decoder), rtol=0, atol=3e-5)
    assert decoder.graphs.in_use and decoder.graphs.difference < 1e-4


def test_looking_back_and_taps_leave_it_alone(with_graphs) -> None:
    decoder = with_graphs(LLAMA)
    expected = ordinary(decoder)
    context = Context(decoder, len(TOKENS))
    ids = TOKENS.tolist()
    with torch.inference_mode():
        for position, token in enumerate(ids):
            logits = context.append([token])
            torch.testing.assert_close(logits.log_softmax(-1), expected[position], rtol=0, atol=3e-5)
            if position % 7 == 3:
                context._kept.clear()
                back = context.logits_after(position // 2 + 1).log_softmax(-1)
                torch.testing.assert_close(back, expected[position // 2], rtol=0, atol=3e-5)
            if position % 9 == 5:
                with context.cache.replay(2, 3) as view:
                    decoder(TOKENS[5:8], view, taps=Taps(["output"]))


def test_a_few_steps_over_another_cache_do_not_take_it_away(with_graphs) -> None:
    decoder = with_graphs(LLAMA)
    cache, other = decoder.new_cache(70), decoder.new_cache(70)
    stepped(decoder, cache, TOKENS[:7])
    stepped(decoder, other, TOKENS[:PATIENCE])
    assert decoder.graphs._is_mine(cache)
    stepped(decoder, other, TOKENS[: PATIENCE + 1])
    assert decoder.graphs._is_mine(other)


def test_logits_stay_when_the_next_step_runs(with_graphs) -> None:
    decoder = with_graphs(LLAMA)
    cache = decoder.new_cache(70)
    stepped(decoder, cache, TOKENS[:5])
    before = decoder(TOKENS[5:6], cache)
    kept = before.clone()
    decoder(TOKENS[6:7], cache)
    assert torch.equal(before, kept)


def test_a_capture_that_fails_is_told_once_and_never_tried_again(with_graphs) -> None:
    attempts: list[int] = []

    def fails(run: Run) -> Run:
        attempts.append(0)
        raise RuntimeError("no such luck\nand a long explanation")

    decoder = with_graphs(LLAMA, fails)
    torch.testing.assert_close(stepped(decoder, decoder.new_cache(70)), ordinary(decoder))
    assert attempts == [0] and decoder.way.startswith("torch, because a CUDA graph failed")
    (notice,) = decoder.take_notices()
    assert "RuntimeError: no such luck)" in notice and decoder.take_notices() == ()


def test_a_replay_that_fails_falls_back_in_the_same_step(with_graphs) -> None:
    class Breaks:
        def __init__(self, run: Run) -> None:
            self.run, self.left = run, 4

        def __call__(self) -> Tensor:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("gone")
            return self.run()

    decoder = with_graphs(LLAMA, Breaks)
    cache = decoder.new_cache(70)
    torch.testing.assert_close(stepped(decoder, cache), ordinary(decoder), rtol=0, atol=3e-5)
    assert cache.length == len(TOKENS) == len(cache.rotated_at) and len(decoder.take_notices()) == 1


@pytest.mark.parametrize("wrong", [lambda x: x + 0.01 * torch.arange(len(x)), lambda x: x * float("nan")])
def test_a_step_that_computes_something_else_is_not_used(wrong, with_graphs) -> None:
    decoder = with_graphs(LLAMA, lambda run: lambda: wrong(run()))
    torch.testing.assert_close(stepped(decoder, decoder.new_cache(70)), ordinary(decoder))
    assert "nats" in decoder.graphs.refusal and not decoder.graphs.in_use


def test_a_cache_of_another_type_needs_the_ordinary_step(tiny_checkpoint, monkeypatch) -> None:
    decoder = load_decoder(tiny_checkpoint(LLAMA), threads=0, cache_dtype=torch.float16)
    decoder.graphs = GraphSteps(decoder, at_once)
    stepped(decoder, decoder.new_cache(20), TOKENS[:20])
    assert decoder.graphs.refusal == "" and not decoder.graphs.in_use


@pytest.mark.parametrize(("length", "expected"), [(1, 256), (256, 256), (257, 512), (600, 700), (700, 700)])
def test_positions_are_a_power_of_two_as_far_as_there_is_memory(length: int, expected: int) -> None:
    assert bucket(length, 700) == expected


class Recorded(TorchDispatchMode):
    """The operations that are run, with the memory that their arguments lie in if it existed before."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()
        self.known = known
        self.operations: list[tuple[str, tuple[object, ...]]] = []
        self.devices: list[tuple[str, set[str]]] = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        described = tuple(self.describe(argument) for argument in arguments)
        self.operations.append((str(function), described))
        tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
        self.devices.append((str(function), {tensor.device.type for tensor in tensors}))
        return function(*arguments, **(keywords or {}))

    def describe(self, argument: object) -> object:
        if isinstance(argument, Tensor):
            place = argument.data_ptr()
            return tuple(argument.shape), argument.stride(), place if place in self.known else "new"
        return argument if isinstance(argument, int | float | str | None) else type(argument).__name__


WAITING = ("_local_scalar_dense", "nonzero", "item", "equal.default", "masked_select", "unique", "is_nonzero")
FROM_THE_HOST = ("where.Scalar", "scalar_tensor", "lift_fresh")
"""A number that is copied to the device, for which a capture cannot wait; a kernel's argument is none."""


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_every_step_is_the_same_operations_and_waits_for_no_number(name: str, tiny_decoder) -> None:
    decoder = tiny_decoder(name)
    cache = decoder.new_cache(64)
    cache.values.zero_()
    for token in TOKENS[:3]:
        decoder(token.view(1), cache)
    step = StaticStep(decoder, cache, 64, 3)
    known = {parameter.data_ptr() for parameter in decoder.parameters()}
    known |= {step.token.data_ptr(), step.position.data_ptr(), cache.keys.data_ptr(), cache.values.data_ptr()}
    seen = []
    for position in (3, 4, 30):
        step.token.fill_(int(TOKENS[position]))
        step.position.fill_(position)
        with torch.no_grad(), Recorded(known) as recorded:
            step()
        seen.append(recorded.operations)
    assert seen[0] == seen[1] == seen[2]
    assert not [name for name, _ in seen[0] if any(word in name for word in WAITING)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_on_another_device_everything_is_there_and_nothing_waits(name: str, dtype, tiny_checkpoint) -> None:
    """A device without numbers: a tensor elsewhere, or the host asking for a number, is an error."""
    checkpoint = tiny_checkpoint(name)
    decoder = load_decoder(checkpoint, device="meta", dtype=dtype)
    cache = decoder.new_cache(128)
    decoder(torch.arange(20), cache)
    assert decoder(torch.tensor([3]), cache).device.type == "meta"
    with cache.replay(4, 3) as view:
        decoder(torch.arange(3), view, taps=Taps((*BLOCK_POINTS, *OUTER_POINTS)))
    step = StaticStep(decoder, cache, 128, 22)
    step.token.copy_(torch.tensor([3]), non_blocking=True)
    step.position.fill_(21)
    with torch.no_grad(), Recorded(set()) as recorded:
        logits = step()
    operations = [name + ("(cpu)" if "cpu" in devices else "") for name, devices in recorded.devices]
    assert not [name for name in operations if "(cpu)" in name or any(w in name for w in FROM_THE_HOST)]
    assert (logits.device.type, logits.dtype) == ("meta", torch.float32)
    assert logits.shape == (decoder.architecture.vocabulary,)
    with pytest.raises(RuntimeError):
        float(logits[0])

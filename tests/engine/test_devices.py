"""The same model on every device that this machine has, against the processor in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio
import torch

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import Bench, Finished, LoadOptions, Started, TokenEvent
from chatterm.records.generation import Text, Tokens
from chatterm.records.inspection import Lens
from chatterm.sampling import SamplingParameters

DEVICES = ["cpu", "cuda", "mps"]
THERE = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
QUICK = Bench(request=0, prefill=(8,), contexts=(0,), decoded=16, repeats=1)
GREEDY = SamplingParameters(temperature=0.0)
PROMPT = Text("The best thing about AI is its ability to")

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exact(default_model_path: Path) -> dict[int, float]:
    async with await EngineProcess.start() as engine:
        await engine.load(str(default_model_path), LoadOptions(device="cpu", context=128, exact=True))
        predicted = await engine.predict(PROMPT, GREEDY)
        return {row.id: row.logprob for row in predicted.distribution.candidates}


@pytest.mark.parametrize("precise", [True, False], ids=["exact", "fast"])
@pytest.mark.parametrize("device", DEVICES)
async def test_a_device_gives_what_the_processor_gives(
    default_model_path: Path, exact: dict[int, float], device: str, precise: bool
) -> None:
    if not THERE[device]:
        pytest.skip(f"there is no {device} here")
    half = device != "cpu" and not precise  # bfloat16 weights: three digits
    async with await EngineProcess.start() as engine:
        info = await engine.load(
            str(default_model_path), LoadOptions(device=device, context=128, exact=precise)
        )
        assert info.device.split(":")[0] == device
        predicted = await engine.predict(PROMPT, GREEDY, also=tuple(exact))
        found = {row.id: row.logprob for row in predicted.distribution.candidates if row.id in exact}
        assert found == pytest.approx(exact, abs=0.15 if half else 5e-3 if not precise else 1e-3)
        lens = await engine.inspect(Lens(PROMPT))
        assert lens.positions[0].layers[-1].candidates[0].id == predicted.distribution.candidates[0].id
        events = [event async for event in engine.generate(PROMPT, GREEDY, max_tokens=8)]
        assert sum(isinstance(event, TokenEvent) for event in events) == 8
        assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("precise", [True, False], ids=["exact", "fast"])
async def test_a_gpu_runs_captured_steps(default_model_path: Path, precise: bool) -> None:
    """Across two sizes of graph: each probability is that of reading the same text in one go."""
    if not THERE["cuda"]:
        pytest.skip("there is no cuda here")
    async with await EngineProcess.start() as engine:
        options = LoadOptions(device="cuda", context=1024, exact=precise)
        await engine.load(str(default_model_path), options)
        for _ in range(2):
            events = [event async for event in engine.generate(PROMPT, GREEDY, max_tokens=600)]
            (started,) = (event for event in events if isinstance(event, Started))
            assert started.notices == ()
        written = [event for event in events if isinstance(event, TokenEvent)]
        ids = (*started.prompt, *(event.id for event in written))
        other = await EngineProcess.start()
        async with other:
            await other.load(str(default_model_path), options)
            for at in (5, 240, 260, 500, 530, len(written) - 1):
                event = written[min(at, len(written) - 1)]
                position = event.distribution.position
                read = await other.predict(Tokens(ids[:position]), GREEDY, also=(event.id,))
                found = {row.id: row.logprob for row in read.distribution.candidates}
                assert found[event.id] == pytest.approx(event.logprob, abs=5e-3 if precise else 0.2)
        way = (await engine.bench(QUICK)).way
        assert way == "CUDA graph"


async def test_the_machine_says_whether_steps_can_be_captured() -> None:
    async with await EngineProcess.start() as engine:
        measured = (await engine.examine()).measured
        assert measured.get("CUDA graphs") == ("yes" if THERE["cuda"] else None)

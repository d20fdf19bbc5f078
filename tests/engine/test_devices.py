"""The same model on every device that this machine has, against the processor in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio
import torch

from chatterm.engine.client import EngineProcess
from chatterm.engine.inspection import Lens
from chatterm.engine.messages import Finished, LoadOptions, TokenEvent
from chatterm.engine.records import Text
from chatterm.sampling import SamplingParameters

DEVICES = ["cpu", "cuda", "mps"]
THERE = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
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

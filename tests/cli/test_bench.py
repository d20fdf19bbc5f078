"""`chatterm bench`: what it reports, not how fast this machine is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chatterm.cli.bench import rate, report
from chatterm.engine.messages import Benched, Device, Examined, Rates
from chatterm.records.generation import ModelInfo
from chatterm.sampling import SamplingParameters

INFO = ModelInfo(
    name="tiny",
    path="/models/tiny.gguf",
    format="gguf",
    family="llama",
    parameters=1_000,
    quantisation="Q4_1",
    computation="float32",
    device="cpu",
    file_bytes=600,
    layers=1,
    heads=1,
    vocabulary=10,
    trained_context=4096,
    context=4096,
    is_chat=False,
    sampling=SamplingParameters(),
    sampling_source="chatterm",
    exact=True,
)
EXAMINED = Examined(
    request=1,
    torch="2.13",
    threads=2,
    instructions="AVX512",
    devices=(Device("cpu", "a processor"),),
    available_bytes=1,
    total_bytes=2,
)
BENCHED = Benched(
    request=2,
    prefill=(Rates(128, (300.0, 100.0, 200.0)), Rates(512, (400.0, 410.0, 390.0))),
    decode=(Rates(0, (50.0, 40.0, 60.0)), Rates(512, (30.0, 31.0, 29.0))),
    reply=(45.0, 44.0, 46.0),
    step_bytes=1_000_000,
    streaming=(90e6, 100e6, 80e6),
    threads=2,
    peak_bytes=3 << 20,
)


def test_a_rate_is_the_median_with_its_spread() -> None:
    assert rate((3.0, 1.0, 2.0)) == {"tokens_per_s": 2.0, "lowest": 1.0, "highest": 3.0}


def test_the_report_names_medians_and_the_share_of_the_bandwidth() -> None:
    document = report(INFO, EXAMINED, [(2.0, 1.5), (1.0, 0.9), (3.0, 1.0)], BENCHED)
    assert (document["load_s"], document["runtime_s"]) == (2.0, 1.0)
    assert document["prefill_tokens_per_s"] == 400.0
    assert document["decode_tokens_per_s"] == 50.0
    assert document["bandwidth_fraction"] == 0.5  # 50 MB of weights a second of 100
    assert document["peak_rss_mib"] == 3.0
    assert [point["tokens"] for point in document["prefill"]] == [128, 512]
    assert [point["context"] for point in document["decode"]] == [0, 512]


def test_lengths_without_room_leave_their_figures_empty() -> None:
    short = Benched(
        request=2,
        prefill=(Rates(128, (1.0,)),),
        decode=(),
        reply=(1.0,),
        step_bytes=1,
        streaming=(1.0,),
        threads=1,
        peak_bytes=1,
    )
    document = report(INFO, EXAMINED, [(1.0, 0.5)], short)
    assert document["prefill_tokens_per_s"] is None
    assert document["decode_tokens_per_s"] is None
    assert document["bandwidth_fraction"] is None


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
def test_the_default_model_is_measured() -> None:
    program = str(Path(sys.executable).with_name("chatterm"))
    result = subprocess.run(
        [program, "bench", "--json", "--quick"], capture_output=True, text=True, check=False, timeout=240
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["model"].startswith("SmolLM2")
    assert document["threads"] >= 1
    assert [point["tokens"] for point in document["prefill"]] == [8, 16, 32]
    assert [point["context"] for point in document["decode"]] == [0, 8, 16]
    for point in (*document["prefill"], *document["decode"]):
        assert 0 < point["lowest"] <= point["tokens_per_s"] <= point["highest"]
    assert document["decode_tokens_per_s"] == document["decode"][0]["tokens_per_s"]
    assert 0 < document["runtime_s"] < document["load_s"]
    assert document["bytes_per_token"] > 50_000_000, "a step reads all weights"
    assert document["bandwidth_fraction"] > 0 and document["peak_rss_mib"] > 100
    assert document["reply_tokens_per_s"] > 0

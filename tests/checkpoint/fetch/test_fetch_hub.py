"""Downloads from the hub, against servers on this machine that speak its protocol and have its faults."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatterm.checkpoint.fetch import (
    FetchProgress,
    FetchStoppedError,
    HubError,
    NotFoundError,
)
from chatterm.checkpoint.locate import locate
from chatterm.errors import UserError
from tests.checkpoint.fetch.fetching import TINY, WANTED, get, nothing_is_there


def test_takes_what_a_checkpoint_needs_and_nothing_else(hub, models):
    path = get()
    assert path == models / "organisation" / "tiny"
    assert {file.name for file in path.iterdir()} == WANTED
    for name in WANTED:
        assert (path / name).read_bytes() == hub.repositories[TINY][name]
    assert locate(TINY) == path
    assert [file.name for file in (models / ".unfinished").iterdir()] == ["organisation--tiny.lock"]


def test_never_asks_for_anything_that_can_run_code(hub, models):
    get()
    assert not [asked.path for asked in hub.asked if asked.path.endswith((".bin", ".py", ".pth", ".onnx"))]


def test_what_is_there_is_not_asked_for_again(hub, models):
    get()
    before = len(hub.asked)
    get()
    assert len(hub.asked) == before


def test_all_files_come_from_the_commit_that_was_listed(hub, models):
    get()
    commit = json.loads(hub.listing(TINY))["sha"]
    resolved = [asked.path for asked in hub.asked if "/resolve/" in asked.path]
    assert resolved
    assert all(f"/resolve/{commit}/" in path for path in resolved)


def test_progress_grows_to_the_total_and_knows_the_speed(hub, models):
    reports: list[FetchProgress] = []
    hub.chunk_pause = 0.02
    get(progress=reports.append)
    counted = [report for report in reports if report.total is not None]
    done = [report.done for report in counted]
    assert done == sorted(done)
    assert counted[-1].done == counted[-1].total == sum(len(hub.repositories[TINY][name]) for name in WANTED)
    assert any(report.per_second and report.remaining is not None for report in counted)
    assert reports[0].total is None
    assert TINY in reports[0].what


def test_offline_means_offline(hub, models, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        get()
    assert hub.asked == []


# --- being stopped --------------------------------------------------------------------------------------


def test_stopping_keeps_what_came(hub, models):
    hub.chunk_pause = 0.01
    reports: list[FetchProgress] = []

    def enough() -> bool:
        return bool(reports) and reports[-1].done > 500_000

    with pytest.raises(FetchStoppedError, match="goes on from there"):
        get(progress=reports.append, cancel=enough)
    assert nothing_is_there()
    get()
    assert hub.requests_for("model.safetensors")[-1].range is not None


def test_killed_at_any_moment_nothing_half_looks_whole(hub, models):
    program = (
        "from chatterm.checkpoint import folders; folders.clone_models_folder = lambda: None\n"
        f"from chatterm.checkpoint.fetch import fetch; fetch({TINY!r})"
    )
    had = 0
    for further in (200_000, 300_000, 400_000):
        hub.stall_after = [further]
        process = subprocess.Popen([sys.executable, "-c", program])
        while (have := sum(part.stat().st_size for part in models.rglob("model.safetensors.*.part"))) <= had:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert nothing_is_there()
        had = have
    hub.stall_after = []
    assert (get() / "model.safetensors").read_bytes() == hub.repositories[TINY]["model.safetensors"]
    assert hub.requests_for("model.safetensors")[-1].range is not None


def test_two_at_once_download_it_once(hub, models):
    hub.chunk_pause = 0.01
    paths: list[Path] = []
    waiting: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: paths.append(get(progress=lambda report: waiting.append(report.what)))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [models / "organisation" / "tiny"] * 3
    assert len(hub.requests_for("model.safetensors")) == 1
    assert any("waiting for another download" in what for what in waiting)


def test_a_folder_that_is_there_but_not_whole_is_completed(hub, models):
    folder = models / "organisation" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert get() == folder
    assert {file.name for file in folder.iterdir()} == WANTED


# --- room and permission --------------------------------------------------------------------------------


def test_a_full_disk_is_noticed_before(hub, models, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(UserError, match=r"organisation/tiny needs 69 MB of free disk, .* has 1 MB"):
        get()
    assert hub.requests_for("model.safetensors") == []


def test_a_folder_that_cannot_be_written_to(hub, models):
    models.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"Cannot write to .*models"):
        get()


@pytest.fixture
def quantised(hub):
    hub.repositories["organisation/tiny-GGUF"] = {
        "README.md": b"",
        "tiny-Q4_K_M.gguf": b"GGUF4" * 20_000,
        "tiny-Q8_0.gguf": b"GGUF8" * 20_000,
        "F16/tiny-F16-00001-of-00002.gguf": b"GGUF1" * 20_000,
        "F16/tiny-F16-00002-of-00002.gguf": b"GGUF2" * 20_000,
    }
    return hub


@pytest.mark.parametrize("choice", ["Q4_K_M", "q4_k_m", "tiny-Q4_K_M.gguf", "tiny-Q4_K_M"])
def test_one_gguf_file_of_several(quantised, models, choice):
    path = get(f"organisation/tiny-GGUF:{choice}")
    assert path == models / "organisation" / "tiny-GGUF" / "tiny-Q4_K_M.gguf"
    assert path.read_bytes() == b"GGUF4" * 20_000
    assert locate(f"organisation/tiny-GGUF:{choice}") == path
    assert locate("tiny-Q4_K_M") == path


def test_a_split_gguf_file(quantised, models):
    path = get("organisation/tiny-GGUF:F16")
    assert path.name == "tiny-F16-00001-of-00002.gguf"
    assert path.with_name("tiny-F16-00002-of-00002.gguf").read_bytes() == b"GGUF2" * 20_000
    assert locate("organisation/tiny-GGUF:F16") == path


def test_a_second_gguf_file_of_the_same_repository(quantised, models):
    get("organisation/tiny-GGUF:Q4_K_M")
    assert get("organisation/tiny-GGUF:Q8_0").name == "tiny-Q8_0.gguf"


def test_which_gguf_file(quantised, models):
    with pytest.raises(HubError, match=r"choose one.*organisation/tiny-GGUF:\w+.*Q4_K_M"):
        get("organisation/tiny-GGUF")
    with pytest.raises(HubError, match=r"has no Q2_K; it has .*tiny-Q4_K_M\.gguf"):
        get("organisation/tiny-GGUF:Q2_K")


@pytest.mark.parametrize(
    "name", ["no such thing", "folder/model.gguf", "./organisation/tiny", "../tiny", "a/.."]
)
def test_a_name_that_nothing_answers_to(hub, models, name):
    with pytest.raises(NotFoundError):
        get(name)
    assert hub.asked == []

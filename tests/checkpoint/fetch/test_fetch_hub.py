"""Downloads from the hub, against servers on this machine that speak its protocol and have its faults."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatterm.checkpoint.catalog import HubFile, HubSource
from chatterm.checkpoint.fetch import (
    DamagedError,
    FetchProgress,
    FetchStoppedError,
    HubError,
    NotFoundError,
    Timeouts,
    fetch,
    transfer,
)
from chatterm.checkpoint.fetch.hub import fetch_from_hub
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.web import UnreachableError, _Redirects
from chatterm.checkpoint.locate import locate
from chatterm.errors import UserError

TINY = "organisation/tiny"
IMPATIENT = Timeouts(connect=3.0, stall=0.3, tries=2, pause=0.01)
PERSISTENT = Timeouts(connect=10.0, stall=10.0, tries=5, pause=0.01)
WANTED = {
    "LICENSE",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def get(name=TINY, timeouts=PERSISTENT, **options):
    return fetch(name, timeouts=timeouts, **options)


def nothing_is_there(name=TINY):
    with pytest.raises(NotFoundError):
        locate(name)
    return True


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


# --- the connection -------------------------------------------------------------------------------------


def test_goes_on_where_the_connection_broke(hub, models):
    hub.cut_after = [400_000, 500_000]
    assert (get() / "model.safetensors").read_bytes() == hub.repositories[TINY]["model.safetensors"]
    assert [asked.range for asked in hub.requests_for("model.safetensors")] == [
        None,
        "bytes=400000-",
        "bytes=900000-",
    ]


def test_a_server_that_cannot_go_on_sends_the_whole_again(hub, models):
    hub.cut_after, hub.ignores_ranges = [400_000], True
    assert (get() / "model.safetensors").read_bytes() == hub.repositories[TINY]["model.safetensors"]


def test_a_broken_download_is_kept_for_the_next_one(hub, models):
    hub.cut_after = [400_000, 0, 0]
    with pytest.raises(HubError, match="broke off"):
        get(timeouts=Timeouts(tries=2, pause=0.01))
    assert nothing_is_there()
    hub.cut_after = []
    get()
    assert hub.requests_for("model.safetensors")[-1].range == "bytes=400000-"
    assert len(hub.requests_for("tokenizer.json", "hub")) == 1


def test_silence_ends_the_waiting(hub, models):
    hub.stall_after = [300_000, 0, 0]
    with pytest.raises(HubError, match="does not answer"):
        get(timeouts=IMPATIENT)
    assert nothing_is_there()
    hub.stall_after = []
    assert get().is_dir()
    assert hub.requests_for("model.safetensors")[-1].range == "bytes=300000-"


def test_a_hub_that_never_answers_the_first_time(hub, models):
    hub.listing_stalls = True
    with pytest.raises(HubError, match="cannot be reached: it does not answer"):
        get(timeouts=Timeouts(connect=0.2))


def test_nobody_there(hub, models, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"127\.0\.0\.1 cannot be reached"):
        get()


def test_a_name_that_nobody_knows(models, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    with pytest.raises(HubError, match=r"hub\.invalid cannot be reached"):
        get()


@pytest.mark.parametrize("endpoint", ["file:///etc", "ftp://127.0.0.1", "nonsense"])
def test_an_endpoint_that_is_no_web_address(models, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(HubError, match="http"):
        get()


def test_redirects_in_circles(hub, models):
    hub.redirects_forever = True
    with pytest.raises(HubError, match="in circles"):
        get(timeouts=IMPATIENT)


def test_a_busy_server_is_asked_again(hub, models):
    hub.failures = [503, 429, 500]
    assert get().is_dir()


def test_a_server_that_stays_broken(hub, models):
    hub.failures = [500] * 10
    with pytest.raises(HubError, match="HTTP status 500"):
        get(timeouts=IMPATIENT)


@pytest.mark.parametrize("asked", ["1", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400])
def test_a_server_that_says_when_to_come_again(hub, models, monkeypatch, asked):
    waits: list[float] = []
    monkeypatch.setattr(transfer, "_wait", lambda seconds, client: waits.append(seconds))
    hub.failures, hub.retry_after = [503, 429], asked
    assert get().is_dir()
    assert waits == ([1.0, 1.0] if asked == "1" else [0.01, 0.02])


@pytest.mark.parametrize(("status", "says"), [(429, "too many requests"), (503, "HTTP status 503")])
def test_a_server_that_asks_for_more_patience_than_we_have(hub, models, status, says):
    hub.failures, hub.retry_after = [status] * 10, "3601"
    with pytest.raises(HubError, match=f"{says}.*in 61 minutes"):
        get()
    assert len(hub.requests_for("model.safetensors")) == 1


def test_offline_means_offline(hub, models, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        get()
    assert hub.asked == []


def redirected(old: str, new: str) -> urllib.request.Request | None:
    request = urllib.request.Request(old)
    request.add_unredirected_header("Authorization", "Bearer secret")
    return _Redirects().redirect_request(request, BytesIO(), 302, "Found", HTTPMessage(), new)


@pytest.mark.parametrize("target", ["http://a.example/x", "ftp://a.example/x"])
def test_never_from_an_encrypted_address_to_another(target):
    with pytest.raises(UnreachableError, match="not encrypted"):
        redirected("https://a.example/x", target)


def test_the_token_stays_with_the_host_it_was_meant_for():
    assert not redirected("https://a.example/x", "https://b.example/x").has_header("Authorization")
    assert (
        redirected("https://a.example/x", "https://a.example/y").get_header("Authorization")
        == "Bearer secret"
    )


# --- what arrives ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_content_than_announced_is_thrown_away(hub, models, name):
    hub.corrupted = {name}
    with pytest.raises(DamagedError, match=name):
        get()
    assert nothing_is_there()
    hub.corrupted = set()
    assert (get() / name).read_bytes() == hub.repositories[TINY][name]


def test_damage_in_what_was_kept_is_found_and_mended(hub, models):
    hub.cut_after = [400_000, 0, 0]
    with pytest.raises(HubError):
        get(timeouts=Timeouts(tries=2, pause=0.01))
    (part,) = (models / ".unfinished" / "organisation--tiny").glob("model.safetensors.*.part")
    part.write_bytes(b"\0" * part.stat().st_size)
    hub.cut_after = []
    assert (get() / "model.safetensors").read_bytes() == hub.repositories[TINY]["model.safetensors"]


def test_what_was_kept_of_another_version_is_not_continued(hub, models):
    hub.cut_after = [400_000, 0, 0]
    with pytest.raises(HubError):
        get(timeouts=Timeouts(tries=2, pause=0.01))
    changed = os.urandom(1_500_000)
    hub.repositories[TINY]["model.safetensors"] = changed
    hub.cut_after = []
    path = get()
    assert (path / "model.safetensors").read_bytes() == changed
    assert {file.name for file in path.iterdir()} == WANTED


def test_another_size_than_announced(hub, models):
    hub.announced["model.safetensors"] = {"size": 1_400_000}
    with pytest.raises(DamagedError, match="1500000 bytes long where the listing says 1400000"):
        get()
    assert nothing_is_there()


def test_the_catalog_has_the_last_word(hub, models):
    def source(**facts):
        return HubSource(TINY, files=(HubFile("model.safetensors", **facts),))

    with pytest.raises(HubError, match=r"model\.safetensors"):
        fetch_from_hub(source(bytes=5), None, models, Meter(), PERSISTENT)
    with pytest.raises(DamagedError, match=r"model\.safetensors"):
        fetch_from_hub(source(sha256="0" * 64), None, models, Meter(), PERSISTENT)
    with pytest.raises(HubError, match=r"no longer|any more"):
        fetch_from_hub(HubSource(TINY, files=(HubFile("gone.json"),)), None, models, Meter(), PERSISTENT)
    assert nothing_is_there()


LISTING = {"sha": "a" * 40, "siblings": []}


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"<html>log in to the hotel network</html>",
        b"[]",
        b"{}",
        json.dumps(LISTING | {"sha": "../../x"}).encode(),
        json.dumps(LISTING | {"siblings": [{"rfilename": 5}]}).encode(),
        json.dumps(LISTING | {"siblings": [{"rfilename": "config.json", "size": "big"}]}).encode(),
        b"[" * 100_000,
    ],
    ids=["empty", "login page", "list", "object", "odd commit", "odd name", "odd size", "deep"],
)
def test_a_listing_that_makes_no_sense(hub, models, listing):
    hub.raw_listing = listing
    with pytest.raises(HubError, match="makes no sense"):
        get()


def test_a_listing_without_end(hub, models, monkeypatch):
    monkeypatch.setattr("chatterm.checkpoint.fetch.hub.MAX_LISTING_BYTES", 1000)
    hub.raw_listing = b" " * 100_000
    with pytest.raises(HubError, match="too long"):
        get()


@pytest.mark.parametrize("size", [None, -1])
def test_a_file_without_a_size(hub, models, size):
    hub.announced["model.safetensors"] = {"size": size}
    with pytest.raises(HubError, match="cannot be"):
        get()


def test_names_that_lead_out_of_the_folder_are_not_taken(hub, models, tmp_path):
    files = hub.repositories[TINY]
    for name in ("../config.json", "/etc/config.json", "..\\config.json", "a/../../tokenizer.json"):
        files[name] = b"escaped"
    assert {file.name for file in get().iterdir()} == WANTED
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"escaped"]


@pytest.mark.parametrize(
    "name", ["tiny\x1b[31m-Q4_K_M.gguf", "tiny\u202e-Q4_K_M.gguf", "..\\tiny-Q4_K_M.gguf"]
)
def test_names_that_no_line_should_show_are_not_taken(hub, models, name):
    hub.repositories[TINY] = {name: b"GGUF" * 20_000}
    reports: list[FetchProgress] = []
    with pytest.raises(HubError, match="a name like that is not taken") as refused:
        get(f"{TINY}:Q4_K_M", progress=reports.append)
    assert refused.value.sentence.isprintable()
    assert all(report.what.isprintable() for report in reports)


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


def test_no_such_repository(hub, models):
    with pytest.raises(HubError, match="There is no organisation/nothing on"):
        get("organisation/nothing")


@pytest.mark.parametrize(("status", "token"), [(401, None), (403, "hf_secret_value")])
def test_a_licence_to_be_accepted(hub, models, monkeypatch, status, token):
    if token is not None:
        monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
        monkeypatch.setenv("HF_TOKEN", token)
    hub.refusals["/resolve/"] = (status, "GatedRepo")
    with pytest.raises(HubError, match="accept its licence") as refused:
        get()
    assert "hf auth login" in refused.value.sentence
    assert "secret" not in refused.value.sentence


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "RepoNotFound", "There is no"),
        (403, "", "does not let you"),
        (404, "RevisionNotFound", "no longer has the revision"),
        (429, "", "too many requests"),
        (502, "", "HTTP status 502"),
    ],
)
def test_when_the_hub_says_no(hub, models, status, code, says):
    hub.refusals["/api/"] = (status, code)
    with pytest.raises(HubError, match=says):
        get()


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, models, monkeypatch):
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    get()
    assert {asked.token for asked in hub.asked if asked.server == "hub"} == {"Bearer hf_secret_value"}
    assert {asked.token for asked in hub.asked if asked.server == "network"} == {None}


@pytest.mark.parametrize("token", ["hf_secret\nvalue", "hf_secret\u200bvalue", "hf_secret\x7f"])
def test_a_token_that_cannot_be_one_is_not_sent(hub, models, monkeypatch, token):
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match="characters that no token has") as refused:
        get()
    assert "secret" not in refused.value.sentence and hub.asked == []


# --- repositories of other kinds ------------------------------------------------------------------------


def test_only_pickles(hub, models):
    hub.repositories["organisation/old"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(HubError, match="can run code"):
        get("organisation/old")


def test_no_model_at_all(hub, models):
    hub.repositories["organisation/pictures"] = {"README.md": b"pictures"}
    with pytest.raises(HubError, match="no language model"):
        get("organisation/pictures")


def test_a_checkpoint_without_a_tokenizer(hub, models):
    del hub.repositories[TINY]["tokenizer.json"]
    with pytest.raises(HubError, match="tokenizer is missing"):
        get()
    assert nothing_is_there()


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

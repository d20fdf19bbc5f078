"""Servers that break off, stay silent, lead in circles or send something else, and what is kept of it."""

from __future__ import annotations

import os
import urllib.request
from http.client import HTTPMessage
from io import BytesIO

import pytest

from chatterm.checkpoint.catalog import HubFile, HubSource
from chatterm.checkpoint.fetch import (
    DamagedError,
    HubError,
    Timeouts,
    transfer,
)
from chatterm.checkpoint.fetch.hub import fetch_from_hub
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.web import UnreachableError, _Redirects
from tests.checkpoint.fetch.fetching import IMPATIENT, PERSISTENT, TINY, WANTED, get, nothing_is_there

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

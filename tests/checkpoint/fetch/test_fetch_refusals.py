"""What is not downloaded: listings without sense, names that lead elsewhere, licences, pickles."""

from __future__ import annotations

import json

import pytest

from chatterm.checkpoint.fetch import (
    FetchProgress,
    HubError,
)
from tests.checkpoint.fetch.fetching import TINY, WANTED, get, nothing_is_there

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

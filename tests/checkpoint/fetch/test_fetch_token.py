"""Whom a token is shown to: the hub it is for, or the one that it was given for, and never in the clear."""

from __future__ import annotations

import pytest

from chatterm.checkpoint.fetch import HubError, fetch
from chatterm.checkpoint.fetch.search import search
from chatterm.checkpoint.fetch.web import _opener
from tests.checkpoint.fetch.fetching import TINY


@pytest.fixture
def _stored_token(monkeypatch, models, tmp_path):
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text("hf_secret_value\n")


@pytest.mark.usefixtures("_stored_token")
def test_a_stored_token_is_not_shown_to_another_hub_than_that_it_is_for(hub):
    fetch(TINY)
    assert {asked.token for asked in hub.asked} == {None}


@pytest.mark.usefixtures("_stored_token")
@pytest.mark.parametrize(
    ("status", "code", "also"),
    [(401, "GatedRepo", "accept its licence"), (403, "", "does not let you"), (401, "", "There is no")],
)
def test_a_refusal_says_that_the_stored_token_was_not_sent(hub, status, code, also):
    hub.refusals["/api/"] = (status, code)
    with pytest.raises(HubError, match=also) as refused:
        fetch(TINY)
    assert refused.value.sentence.endswith(
        "; the token that `hf auth login` stored goes to https://huggingface.co only, "
        "so set HF_TOKEN to send one to 127.0.0.1."
    )
    assert "secret" not in refused.value.sentence


@pytest.mark.usefixtures("_stored_token")
def test_what_has_nothing_to_do_with_a_token_does_not_speak_of_it(hub):
    hub.refusals["/api/"] = (404, "RevisionNotFound")
    with pytest.raises(HubError) as refused:
        fetch(TINY)
    assert "token" not in refused.value.sentence


def test_a_token_that_would_be_sent_in_the_clear_is_not(hub, monkeypatch):
    """The address is another one; what the proxy here does with it shows what it was sent."""
    monkeypatch.delenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_secret_value")
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    monkeypatch.setenv("http_proxy", hub.endpoint)
    hub.refusals["/api/"] = (401, "")
    _opener.cache_clear()  # it looks for proxies once
    try:
        with pytest.raises(HubError, match=r"your token was not sent, because .* without https://"):
            fetch(TINY)
    finally:
        _opener.cache_clear()
    assert [asked.token for asked in hub.asked] == [None]


def test_a_search_that_is_refused_without_a_token_does_not_say_that_one_is_unknown(hub):
    hub.refusals["/api/"] = (401, "")
    with pytest.raises(HubError, match="answers nobody without a token"):
        search("tiny")

"""What `chatterm doctor` says of the network: whom it may ask, when, and never a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatterm.cli.network import network

SECRET = "hf_CanaryThatMustNotBeSeen"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("HF_", "PIP_", "HUGGING")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path))


def token() -> str:
    """What is said of it, and that it is not said itself."""
    said = network()
    assert SECRET not in str(said)
    return said["token for the hub"]


def test_by_itself_it_would_ask_the_hub_and_the_usual_index() -> None:
    said = network()
    assert said["then asks"] == "the hub at https://huggingface.co"
    assert "pypi.org" in said["and if need be"]
    assert said["token for the hub"] == said["proxies"].removesuffix(" set") == "none"
    assert said["offline"].startswith("no")


def test_a_mirror_an_index_and_a_proxy_are_named_without_their_passwords(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"https://me:{SECRET}@mirror.example:8443/hf")
    monkeypatch.setenv("PIP_INDEX_URL", f"https://__token__:{SECRET}@index.example/simple")
    monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@proxy.example")
    said = network()
    assert said["then asks"] == "the hub at https://mirror.example:8443 (HF_ENDPOINT)"
    assert "https://index.example (PIP_INDEX_URL)" in said["and if need be"]
    assert said["proxies"] == "https_proxy"
    assert SECRET not in str(said)


@pytest.mark.parametrize("address", ["http://[::1", "http://a:99999999/", "nonsense", "", "http://\x1b[31m/"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert all(value.isprintable() for value in network().values())


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_a_token_is_found_and_not_shown(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    assert token() == f"found in {variable}; it goes to https://huggingface.co and nowhere else"
    monkeypatch.setenv("HF_ENDPOINT", f"https://me:{SECRET}@mirror.example/hf")
    assert token() == f"found in {variable}; it goes to https://mirror.example and nowhere else"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    assert "is not sent to http://mirror.example, because others could read it" in token()
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert "not used" in token()


def test_a_stored_token_goes_to_the_usual_hub_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    assert token() == (
        "found, as `hf auth login` stored it; it goes to https://huggingface.co and nowhere else"
    )
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    assert token() == (
        "found, as `hf auth login` stored it; it is not sent to https://mirror.example: "
        "set HF_TOKEN to send one there"
    )
    monkeypatch.setenv("HF_ENDPOINT", "http://huggingface.co")
    assert "is not sent to http://huggingface.co, because others could read it" in token()


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert network()["offline"].startswith("yes, neither the hub nor a package index")

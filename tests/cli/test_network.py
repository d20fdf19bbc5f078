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


def test_a_token_is_found_and_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert "found in HF_TOKEN" in network()["token for the hub"]
    assert SECRET not in str(network())
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert "not used" in network()["token for the hub"]


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert network()["offline"].startswith("yes")

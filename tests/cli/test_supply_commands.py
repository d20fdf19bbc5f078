"""Searching, fetching, verifying and deleting models: the installed program, a hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakehub import FakeHub, running_hub, serving

TINY = "organisation/tiny"
GGUF = "people/sea-GGUF"
CUTS = (100_000, 70_000, 0, 0, 0, 0, 0)
"""Bytes after which answers break off: not the first one, which only looks at the head of a file."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving() as serve, running_hub(serve) as fake:
        fake.repositories[GGUF] = {
            "sea-Q4_0.gguf": b"GGUF4" * 20_000,
            "sea-Q8_0.gguf": b"GGUF8" * 30_000,
        }
        fake.facts[GGUF] = {
            "downloads": 12_345,
            "likes": 6,
            "cardData": {"license": "apache-2.0", "license_link": "https://example.org/l"},
            "gguf": {"architecture": "llama", "total": 200_000},
        }
        fake.facts[TINY] = {"downloads": 7, "cardData": {"license": "\x1b[31mmit\u202e"}}
        yield fake


@pytest.fixture
def chatterm(hub, tmp_path) -> Run:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "CHATTERM_MODELS": str(tmp_path / "models"),
        "CHATTERM_CACHE": str(tmp_path / "cache"),
        "CHATTERM_CONFIG": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }
    environment.pop("HF_HUB_OFFLINE", None)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("chatterm")), "models", *arguments]
        return subprocess.run(
            program,
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_search_says_what_one_wants_to_know(chatterm):
    shown = chatterm("search", "sea", "gguf")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        GGUF,
        "    gguf · 200k weights · llama · licence apache-2.0 · 12,345 downloads · 6 likes · 2025-03-01",
    ]
    found = json.loads(chatterm("search", "--json", "organisation").stdout)
    assert [one["repository"] for one in found] == [TINY]
    assert "\x1b" not in chatterm("search", "tiny").stdout


def test_a_hub_that_is_not_there_is_one_sentence(chatterm):
    for arguments in (("search", "sea"), ("show", GGUF), ("get", GGUF + ":Q4_0")):
        shown = chatterm(*arguments, HF_ENDPOINT="http://127.0.0.1:9")
        assert (shown.returncode, shown.stdout) == (2, "")
        assert (
            shown.stderr.startswith("chatterm: 127.0.0.1 cannot be reached") and shown.stderr.count("\n") == 1
        )


def test_show_of_a_repository_lists_its_files_and_fetches_nothing(chatterm, tmp_path):
    shown = chatterm("show", GGUF)
    assert shown.returncode == 0
    for text in ("apache-2.0", "people/sea-GGUF:Q4_0", "100 kB", "people/sea-GGUF:Q8_0", "150 kB", "4.0"):
        assert text in shown.stdout
    offer = json.loads(chatterm("show", "--json", GGUF).stdout)
    assert [choice["name"] for choice in offer["choices"]] == [f"{GGUF}:Q4_0", f"{GGUF}:Q8_0"]
    assert offer["repository"]["licence"] == "apache-2.0"
    assert not (tmp_path / "models").exists()


def test_get_verify_delete(chatterm, tmp_path):
    path = tmp_path / "models" / "people" / "sea-GGUF" / "sea-Q4_0.gguf"
    got = chatterm("get", f"{GGUF}:Q4_0")
    assert (got.returncode, got.stdout) == (0, f"{path}\n")
    assert got.stderr == f"{GGUF}:Q4_0: 100 kB, 1 file, licence apache-2.0\n"
    assert chatterm("verify", f"{GGUF}:Q4_0").stdout == "Whole: 1 file, 100 kB, as announced.\n"

    path.write_bytes(b"x" + path.read_bytes()[1:])
    damaged = chatterm("verify", "--json", str(path))
    assert damaged.returncode == 2
    assert "other content" in json.loads(damaged.stdout)["problems"][0]

    asked = chatterm("delete", f"{GGUF}:Q4_0")
    assert asked.returncode == 2 and path.exists()
    assert "This frees 100 kB (1 file)" in asked.stderr and "--yes" in asked.stderr
    assert chatterm("delete", "--yes", f"{GGUF}:Q4_0").stdout == "100 kB are free again.\n"
    assert not path.exists()


def test_a_broken_download_is_listed_goes_on_and_can_be_given_up(chatterm, hub, tmp_path):
    name = f"{GGUF}:Q8_0"
    hub.cut_after = list(CUTS)
    broken = chatterm("get", name)
    assert broken.returncode == 2 and "broke off" in broken.stderr
    hub.cut_after = []
    (unfinished,) = json.loads(chatterm("list", "--json").stdout)["unfinished"]
    assert (unfinished["name"], unfinished["done"], unfinished["total"]) == (name, 70_000, 150_000)
    assert f"Unfinished: {name}, 70 kB of 150 kB, paused" in chatterm("list").stdout
    assert chatterm("get", name).returncode == 0
    assert hub.requests_for("sea-Q8_0.gguf")[-1].range == "bytes=70000-"

    assert chatterm("delete", "--yes", name).returncode == 0
    hub.cut_after = list(CUTS)
    chatterm("get", name)
    assert chatterm("delete", "--yes", name).stdout == "70 kB are free again.\n"
    assert json.loads(chatterm("list", "--json").stdout)["unfinished"] == []


def test_a_gated_repository_says_what_to_do(chatterm, hub):
    hub.facts[TINY]["gated"] = "manual"
    hub.refusals["resolve"] = (401, "GatedRepo")
    assert "Its licence has to be accepted first, at http" in chatterm("show", TINY).stdout
    got = chatterm("get", TINY)
    assert got.returncode == 2
    assert "to be accepted first" in got.stderr and "hf auth login" in got.stderr
    assert "\x1b" not in got.stderr and "\u202e" not in got.stderr


def test_what_is_not_ours_is_not_deleted(chatterm, tmp_path):
    mine = tmp_path / "models" / "mine.gguf"
    mine.parent.mkdir()
    mine.write_bytes(b"GGUF")
    refused = chatterm("delete", "--yes", str(mine))
    assert refused.returncode == 2 and "was not downloaded by chatterm" in refused.stderr
    assert mine.exists()

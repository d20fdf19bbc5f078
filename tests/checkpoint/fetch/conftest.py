"""A hub and a package index on this machine; `tests.fakehub` has the hub itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakehub import FakeHub, Serve, running_hub, serving


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server on this machine; gives its address."""
    with serving() as start:
        yield start


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, models: Path, serve: Serve) -> Iterator[FakeHub]:
    """A hub at `HF_ENDPOINT` with one small checkpoint, organisation/tiny."""
    with running_hub(serve) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        yield fake

"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # however busy it is, no clock decides a test


@pytest.fixture(scope="session")
def default_model_path() -> Path:
    """The real default model on disk (`make test` fetches it before pytest runs)."""
    from chatterm.checkpoint.locate import locate

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    return locate("default")

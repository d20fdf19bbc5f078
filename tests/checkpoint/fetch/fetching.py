"""What the tests of downloads share: a small repository, and how patiently they wait."""

from __future__ import annotations

import pytest

from chatterm.checkpoint.fetch import NotFoundError, Timeouts, fetch
from chatterm.checkpoint.locate import locate

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

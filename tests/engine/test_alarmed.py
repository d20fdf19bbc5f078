"""A checkpoint that never ends ends the engine, also one without a model, and the client says why."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.engine.protocol import EngineDiedError
from tests.faults import specimens


class Impatient(EngineProcess):
    """The real worker, which waits for a second instead of five."""

    COMMAND = (
        *(sys.executable, "-P", "-c"),
        "from chatterm.checkpoint import alarm; alarm.SECONDS = 1.0\n"
        "from chatterm.engine import worker; worker.main()",
    )


async def test_an_added_token_for_which_the_normalizer_takes_hours(tmp_path: Path) -> None:
    """It takes them in a single call of the library, while the file is read."""
    folder = specimens.folder(tmp_path / "model")
    (folder / "tokenizer.json").write_text(json.dumps(specimens.slow_tokenizer_json()), "utf-8")
    async with await Impatient.start() as engine:
        with pytest.raises(EngineDiedError, match="tokenizer takes far too long"):
            await engine.tokenize("Hello", str(folder))

"""The program with the scripted engine in the place of a model, so that a look costs no model.

CHATTERM_TEST_REPLY is what it answers, again and again; CHATTERM_TEST_DELAY the seconds between two tokens.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from scripted import Knobs
from scripted_model import HAIKU, WORDS

from chatterm.tui import app

KNOBS = Knobs()
KNOBS.delay = float(os.environ.get("CHATTERM_TEST_DELAY", "0"))
KNOBS.context = 8192
KNOBS.replies = [HAIKU * int(os.environ.get("CHATTERM_TEST_HAIKUS", "1"))]
assert set(HAIKU) <= set(WORDS)
app._start_engine_process = KNOBS.start  # type: ignore[assignment]

if __name__ == "__main__":
    from chatterm.cli import main

    main()

"""What is typed and what is waited for."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.interface.terminal import Terminal

PAINTED = b"sk something"
"""Of the words in the empty input, behind the cursor: the last thing of the first frame."""
READY = b"is ready"
QUESTION = "Tell me a long story about a lighthouse keeper."
ENTER, ESCAPE, AGAIN, PANEL, HISTORY, PAGE_UP, BACKSPACE = (
    b"\r",
    b"\x1b",
    b"\x12",
    b"\x1b[17~",
    b"\x1b[20~",
    b"\x1b[5~",
    b"\x7f",
)
NEVER_ENDING = '[sampling]\ntemperature = 0.0\nseed = 7\n[sampling.logit_bias]\n"0" = -inf\n"2" = -inf\n'
FIRST_SIGN = 0x3401  # Chinese signs that no reply writes: each is typed once and looked for


def configure(folder: Path, text: str) -> None:
    """Write the settings of the chats whose terminal is given that folder."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "config.toml").write_text(text)


def echoes(terminal: Terminal, count: int) -> list[float]:
    """Seconds from typing a sign to its arrival on the screen, at irregular moments."""
    waits = random.Random(1)
    times = []
    for number in range(count):
        sign = chr(FIRST_SIGN + number)
        began = terminal.write(sign)
        times.append(terminal.wait(sign.encode()) - began)
        terminal.drain(waits.uniform(0.03, 0.08))
        terminal.write(BACKSPACE)
        terminal.drain(waits.uniform(0.03, 0.08))
    return times

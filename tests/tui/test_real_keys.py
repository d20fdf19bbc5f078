"""Every key of the table is one that a terminal can deliver as itself."""

from __future__ import annotations

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from chatterm.tui import keys
from chatterm.tui.terminal import alt_keys

ALT = sorted({key for entry in keys.KEYS for key in entry.keys if key.startswith("alt+") and len(key) == 5})


@pytest.mark.parametrize("key", ALT)
def test_alt_with_a_sign_arrives_as_itself(key: str) -> None:
    alt_keys.read_as_keys()
    parser = XTermParser(False)
    arrived = [*parser.feed(f"\x1b{key[-1]}"), *parser.feed("")]
    assert [event.key for event in arrived if isinstance(event, events.Key)][:1] == [key]

"""Chat templates that attack: none reaches out of the sandbox, and what runs away is cut off.

Every case is a small sound checkpoint with a template made of public techniques, put together at random, in a
real engine. A secret lies in the engine's environment and in a file; no template may show either.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.faults import escapes, runaways, specimens, unseen
from tests.faults.campaign import Campaign
from tests.faults.warm import WarmEngine

SECRET = "secret-8d2f61c0"
_ESCAPED = re.compile(
    rf"{SECRET}|<(module|frame|code|mappingproxy)\b|'__builtins__':|root:x?:|slot wrapper"
    r"|<class '(?!chatterm\.checkpoint\.template|jinja2\.utils)"  # those that templates are given
)


@cache
def _shelf() -> Path:
    shelf = Path(tempfile.mkdtemp(prefix="chatterm-templates-"))
    os.environ["CHATTERM_TEST_SECRET"] = SECRET  # the engine inherits it
    (shelf / "secret.txt").write_text(SECRET)
    os.environ[escapes.SECRET_FILE] = str(shelf / "secret.txt")
    folder = specimens.folder(shelf / "folder")
    (folder / "chat_template.jinja").write_text(specimens.TEMPLATE)
    import atexit

    atexit.register(shutil.rmtree, shelf, ignore_errors=True)
    return shelf


ENGINE = WarmEngine(lambda: _shelf() / "folder")

TECHNIQUES: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("attributes by dot and subscript", escapes.chain(escapes.dots, escapes.NAMES)),
    ("the filter attr", escapes.chain(escapes.attr, escapes.NAMES)),
    ("filters that take the name of an attribute", escapes.chain(escapes.kin, escapes.NAMES)),
    ("frames of generators and coroutines", escapes.chain(escapes.dots, escapes.FRAMES)),
    ("frames by filters", escapes.chain(escapes.kin, escapes.FRAMES)),
    ("str.format (CVE-2016-10745)", escapes.formatted),
    ("str.format_map (CVE-2019-10906)", escapes.format_map),
    ("str.format by reference (CVE-2024-56326)", escapes.format_by_reference),
    ("str.format by the filter attr (CVE-2025-27516)", escapes.format_by_attr),
    ("other templates, files and names of files (CVE-2024-56201)", escapes.outside),
    ("names that mean something to Python", escapes.keywords),
    ("changing what is given", escapes.changed),
    ("endless loops", runaways.loops),
    ("texts that grow", runaways.strings),
    ("widths", runaways.widths),
    ("large integers", runaways.integers),
    ("recursion", runaways.recursion),
    ("containers in containers", runaways.containers),
    ("comparing and sorting", runaways.comparing),
    ("long and crooked templates", runaways.long),
    ("much work for little, again and again", unseen.repeated),
    ("texts taken apart, copied and kept", unseen.held),
    ("numbers that collide", unseen.colliding),
)


def case(numbers: random.Random, place: Path) -> str:
    """One template that attacks."""
    shelf = _shelf()
    folder = place / "model"
    shutil.copytree(shelf / "folder", folder)
    name, technique = numbers.choice(TECHNIQUES)
    attack = technique(numbers)
    text = numbers.choice(
        (f"{{% macro m() %}}x{{% endmacro %}}{attack}", f"{attack}{specimens.TEMPLATE}", attack)
    )
    if numbers.random() < 0.1:
        text = f"{{% for message in messages %}}{text}{{% endfor %}}"
    (folder / "chat_template.jinja").write_text(text, "utf-8")
    verdict = ENGINE.look_at(folder)
    said = f"{verdict.prompt} {verdict.refusal}"
    leaked = _ESCAPED.search(said.replace(attack, ""))
    assert leaked is None, f"{name}: {attack[:300]} → {said[max(0, leaked.start() - 80) : leaked.end() + 80]}"
    shutil.rmtree(place)
    return name


CAMPAIGN = Campaign(
    "templates",
    "A chat template never leaves its sandbox; one that runs away is cut off with one sentence, in under 5 "
    "seconds and 1 GB.",
    case,
    short=12,
    long=2000,
)

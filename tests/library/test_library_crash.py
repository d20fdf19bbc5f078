"""Programs that are killed, and several at once: nothing that was said to be saved is missing.

`CHATTERM_KILLS` sets how often a program is killed (15); the seeds are fixed.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from chatterm.library import Library

WRITER = Path(__file__).with_name("library_writer.py")
KILLS = int(os.environ.get("CHATTERM_KILLS", "15"))


def start(path: Path, seed: int, actions: int = 10**9) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(seed), str(actions)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go(*writers: subprocess.Popen[str]) -> None:
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()


def saved(lines: list[str]) -> dict[int, tuple[str, str]]:
    """The last that was said of each message; the first line is the notices, the last may be cut off."""
    state = {}
    for line in lines:
        if line.startswith("[") and line.endswith("]\n") and '"' in line:
            message, status, content = json.loads(line)
            state[message] = (status, content)
    return state


def check(path: Path, state: dict[int, tuple[str, str]]) -> None:
    """The file is whole, the trees are whole, and everything that was saved is there."""
    with Library(path) as library:
        assert library.notices == ()
        for message, (status, content) in state.items():
            found = library.message(message)
            if status == "writing":
                assert found.status in {"interrupted", "done"}
                assert found.content.startswith(content)
            else:
                assert (found.status, found.content) == (status, content)
            text = found.content
            tokens = library.tokens(message)
            assert all(text[token.start :].startswith(token.text) for token in tokens)
            if tokens:
                assert "".join(token.text for token in tokens) == text.removesuffix("!")
        for conversation in library.conversations(limit=10**6):
            nodes = {node.id: node for node in library.tree(conversation.id)}
            assert all(node.parent is None or node.parent in nodes for node in nodes.values())
            path_ids = [message.id for message in library.open(conversation.id).path]
            assert path_ids and nodes[path_ids[0]].parent is None and nodes[path_ids[-1]].children == 0
            assert {node.id for node in nodes.values() if node.active} == set(path_ids)
    assert not any(path.with_name("library.sqlite3.owners").iterdir())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        unfindable = "SELECT count(*) FROM message WHERE id NOT IN (SELECT rowid FROM search)"
        assert connection.execute(unfindable).fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM message WHERE status = 'writing'").fetchone() == (0,)


def test_nothing_saved_is_lost_when_the_program_is_killed(library_path: Path) -> None:
    rng = random.Random(20_240)
    state: dict[int, tuple[str, str]] = {}
    for kill in range(KILLS):
        writer = start(library_path, kill)
        assert writer.stdout is not None
        go(writer)
        lines = [writer.stdout.readline() for _ in range(rng.choice([0, 1, 2, rng.randrange(60)]))]
        time.sleep(rng.random() * 0.03)
        writer.kill()
        rest, errors = writer.communicate()
        assert errors == ""
        state |= saved(lines + rest.splitlines(keepends=True))
        if kill % 5 == 4 or kill == KILLS - 1:
            check(library_path, state)
    assert len(state) > 2 * KILLS


def test_several_programs_write_at_once(library_path: Path) -> None:
    """They begin with making the library together."""
    writers = [start(library_path, seed, actions=40) for seed in range(3)]
    go(*writers)
    state: dict[int, tuple[str, str]] = {}
    for writer in writers:
        output, errors = writer.communicate(timeout=120)
        assert (writer.returncode, errors) == (0, "")
        lines = output.splitlines(keepends=True)
        assert lines[0] == "[]\n" and lines[-1] == "closed\n"
        theirs = saved(lines)
        assert len(theirs) > 10 and not theirs.keys() & state.keys()
        state |= theirs
    check(library_path, state)


def test_several_programs_meet_a_damaged_library(library_path: Path) -> None:
    library_path.parent.mkdir()
    library_path.write_bytes(b"nonsense" * 1_000)
    writers = [start(library_path, seed, actions=5) for seed in range(3)]
    go(*writers)
    notices: list[str] = []
    state: dict[int, tuple[str, str]] = {}
    for writer in writers:
        output, errors = writer.communicate(timeout=120)
        assert (writer.returncode, errors) == (0, "")
        lines = output.splitlines(keepends=True)
        notices += json.loads(lines[0])
        state |= saved(lines[1:])
    assert len(notices) == 1 and "damaged" in notices[0]
    (aside,) = library_path.parent.glob("library.damaged-*.sqlite3")
    assert aside.read_bytes() == b"nonsense" * 1_000
    check(library_path, state)


_HOLDER = """
import sys
from pathlib import Path
from chatterm.library import Library
library = Library(Path(sys.argv[1]))
reply = library.begin_reply(library.create().id, None, model="tiny").id
library.extend_reply(reply, text="so far")
print(reply, flush=True)
sys.stdin.readline()
library.finish_reply(reply, "end", text=" so good")
library.close()
"""


@pytest.mark.parametrize("fate", ["killed", "left in peace"])
def test_only_the_replies_of_the_dead_are_interrupted(library_path: Path, fate: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(library_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    reply = int(holder.stdout.readline())
    with Library(library_path) as library:
        assert library.message(reply).status == "writing"
        assert library.recover() == 0
        if fate == "killed":
            holder.kill()
            holder.communicate()
            assert library.recover() == 1
            found = library.message(reply)
            assert (found.status, found.content) == ("interrupted", "so far")
            assert library.search("so far")[0].message == reply
        else:
            holder.communicate("\n")
            found = library.message(reply)
            assert (found.status, found.content) == ("done", "so far so good")
    assert list(library_path.with_name("library.sqlite3.owners").iterdir()) == []

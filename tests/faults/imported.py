"""Imports, our own and those of other programs, that were tampered with."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from chatterm.errors import UserError
from chatterm.library import Library
from chatterm.library.exports import FORMATS, export
from chatterm.library.imports import read_file
from tests.faults.hostile import Villain, conversation
from tests.faults.odd import changed, check_sentence, mangled, value


def case(numbers: random.Random, folder: Path) -> str:
    """Import one file: all of it or nothing, and the library is as whole as before."""
    kind = numbers.choice(list(SAMPLES))
    document = changed(numbers, SAMPLES[kind](numbers), numbers.choice((1, 1, 2, 5)))
    data = json.dumps(document, ensure_ascii=numbers.random() < 0.5).encode()
    if numbers.random() < 0.4:
        data = mangled(numbers, data)
    file = folder / "chats.json"
    file.write_bytes(data)
    with Library(folder / "library.sqlite3") as library:
        before = library.create()
        library.add_message(before.id, None, "user", "what was here before")
        began = time.process_time()
        try:
            found = read_file(file)
            added = library.add_conversations(found.conversations)
        except UserError as error:
            check_sentence(error.sentence)
            what, added = "refused", ()
        else:
            what = "taken"
        assert time.process_time() - began < 20, "it took over 20 s of the processor"
        assert len(library.conversations(limit=10_000)) == 1 + len(added)
        assert library.open(before.id).path[0].content == "what was here before"
        for one in added[:3]:
            read_all(library, one.id, numbers)
    return f"import from {kind}: {what}"


def read_all(library: Library, conversation: int, numbers: random.Random) -> None:
    """Everything that the program does with a conversation."""
    library.open(conversation)
    library.tree(conversation)
    library.conversations(matching="a")
    library.search("sea")
    whole = library.whole(conversation)
    for message in whole.messages[:5]:
        library.siblings(message.id)
        library.message(message.id)
    for problem in whole.problems:
        check_sentence(problem)
    export([whole], numbers.choice(FORMATS), branches=numbers.random() < 0.5).encode()


def _own(numbers: random.Random) -> Any:
    with Library.in_memory() as library:
        library.add_conversations([conversation(Villain(numbers)) for _ in range(numbers.randrange(1, 3))])
        document = json.loads(export([library.whole(1)], "json"))
    if numbers.random() < 0.2:
        document["version"] = value(numbers)
    return document


def _chatgpt(numbers: random.Random) -> Any:
    def node(parent: str | None, role: str, text: str) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        message = {
            "author": {"role": role},
            "content": content,
            "create_time": 1.7e9,
            "metadata": {"model_slug": "g"},
        }
        return {"parent": parent, "children": [], "message": message}

    mapping = {
        "root": {"parent": None, "children": ["a"], "message": None},
        "a": node("root", "user", "the sea"),
        "b": node("a", "assistant", "salt"),
        "c": node("a", "assistant", "water"),
        "d": node("c", numbers.choice(("user", "tool", "system")), "thanks"),
    }
    if numbers.random() < 0.3:
        mapping[numbers.choice("abcd")]["parent"] = numbers.choice(("a", "b", "c", "d", "x", "root"))
    return [
        {"title": "t", "create_time": 1.7e9, "update_time": 1.7e9, "current_node": "d", "mapping": mapping}
    ]


def _claude(numbers: random.Random) -> Any:
    def said(number: int, sender: str) -> dict[str, Any]:
        return {
            "uuid": str(number),
            "sender": sender,
            "text": "the sea",
            "content": [{"type": "text", "text": "the sea"}, {"type": "thinking", "thinking": "hm"}],
            "created_at": "2024-01-01T00:00:00Z",
            "parent_message_uuid": str(number - 1),
            "attachments": [{"file_name": "a.txt", "extracted_content": "x"}],
            "files": [{"file_name": "b.png"}],
        }

    messages = [said(1, "human"), said(2, "assistant"), said(3, "human")]
    return [
        {"name": "t", "created_at": "2024-01-01T00:00:00Z", "chat_messages": messages, "is_starred": True}
    ]


def _llamacpp(numbers: random.Random) -> Any:
    messages = [
        {"id": "0", "role": "system", "type": "root", "parent": None, "content": "", "timestamp": 1.7e12},
        {"id": "1", "role": "user", "parent": "0", "content": "the sea", "timestamp": 1.7e12},
        {
            "id": "2",
            "role": "assistant",
            "parent": "1",
            "content": "salt",
            "timestamp": 1.7e12,
            "extra": [{"type": "x"}],
        },
    ]
    if numbers.random() < 0.3:
        messages[1]["parent"] = numbers.choice(("1", "2", "9"))
    return {"conv": {"name": "t", "currNode": "2", "lastModified": 1.7e12}, "messages": messages}


def _openwebui(numbers: random.Random) -> Any:
    messages = {
        "a": {
            "role": "user",
            "content": "the sea",
            "parentId": None,
            "timestamp": 1.7e9,
            "files": [{"name": "x"}],
        },
        "b": {"role": "assistant", "content": "salt", "parentId": "a", "timestamp": 1.7e9, "model": "m"},
    }
    if numbers.random() < 0.3:
        messages["a"]["parentId"] = numbers.choice("abx")
    chat = {"title": "t", "models": ["m"], "history": {"messages": messages, "currentId": "b"}, "system": "s"}
    return [{"title": "t", "created_at": 1.7e9, "updated_at": 1.7e9, "pinned": False, "chat": chat}]


def _sharegpt(numbers: random.Random) -> Any:
    turns = [{"from": "human", "value": "the sea"}, {"from": "gpt", "value": "salt"}]
    return [{"conversations": turns, "title": "t", "model": "m", "system": "s"}]


def _messages(numbers: random.Random) -> Any:
    said = [
        {"role": "user", "content": "the sea"},
        {"role": "assistant", "content": [{"type": "text", "text": "salt"}]},
    ]
    return {"messages": said, "title": "t", "created_at": 1.7e9} if numbers.random() < 0.5 else said


SAMPLES = {
    "chatterm": _own,
    "ChatGPT": _chatgpt,
    "Claude": _claude,
    "llama.cpp": _llamacpp,
    "Open WebUI": _openwebui,
    "ShareGPT": _sharegpt,
    "a list of messages": _messages,
}

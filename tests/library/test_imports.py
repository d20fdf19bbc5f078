"""Exports of other chat programs, as they document them or as they are seen in the wild."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatterm.errors import UserError
from chatterm.library import Library
from chatterm.library.document import ConversationDocument
from chatterm.library.imports import branches, read, read_file
from tests.library.chatgpt import DATED, chatgpt, node


def one(value: Any, kind: str) -> ConversationDocument:
    found = read(json.dumps(value).encode(), "a.json", DATED)
    assert found.kind == kind
    (conversation,) = found.conversations
    with Library.in_memory() as library:
        library.add_conversations([conversation])
    return conversation


def path(conversation: ConversationDocument) -> list[tuple[str, str]]:
    """Role and content along the active path."""
    by_id = {message.id: message for message in conversation.messages}
    said, here = [], conversation.chosen
    while here is not None:
        said.append((by_id[here].role, by_id[here].content))
        here = by_id[here].chosen
    return said


def test_chatgpt() -> None:
    found = one(
        [
            chatgpt(
                s=node("root", "system", ""),
                q=node("s", "user", "What is 苹果?"),
                t=node("q", "tool", "looked up"),
                a=node("t", "assistant", "A fruit.", metadata={"model_slug": "gpt-4o-mini"}),
                b=node("t", "assistant", "An apple."),
                b1=node("b", "user", "Thanks"),
                c1=node("b", "user", "Another way"),
            )
        ],
        "ChatGPT",
    )
    assert path(found) == [("user", "What is 苹果?"), ("assistant", "An apple."), ("user", "Thanks")]
    assert (found.title, found.created, found.updated) == ("A talk", 1_699_999_999.25, 1_700_000_100.0)
    assert [(m.content, m.parent) for m in found.messages] == [
        ("What is 苹果?", None), ("A fruit.", 1), ("An apple.", 1), ("Thanks", 3), ("Another way", 3),
    ]  # fmt: skip
    assert [m.model for m in found.messages[:3]] == [None, "gpt-4o-mini", None]


def test_chatgpt_leaves_out_what_is_not_text_and_says_so() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    found = one(
        chatgpt(
            q=node(
                "root",
                "user",
                "",
                content={"content_type": "multimodal_text", "parts": [picture, "What is it?"]},
            ),
            h=node("q", "assistant", "", content={"content_type": "thoughts", "thoughts": []}),
            b1=node("h", "assistant", "A cat."),
        ),
        "ChatGPT",
    )
    assert path(found) == [("user", "What is it?"), ("assistant", "A cat.")]
    assert found.messages[0].notices == ("Not imported with this message: image_asset_pointer.",)


def test_claude() -> None:
    def message(
        uuid: str, parent: str, sender: str, *content: dict[str, Any], text: str = "", **more: Any
    ) -> Any:
        return {
            "uuid": uuid, "parent_message_uuid": parent, "sender": sender, "text": text,
            "content": list(content), "created_at": "2024-05-01T10:00:00.000000Z", **more,
        }  # fmt: skip

    found = one(
        [
            {
                "uuid": "x",
                "name": "Sea",
                "created_at": "2024-05-01T09:59:00Z",
                "updated_at": "2024-05-01T10:01:00Z",
                "chat_messages": [
                    message(
                        "1", "00000000-0000-4000-8000-000000000000", "human",
                        {"type": "text", "text": "Read."},
                        attachments=[{"file_name": "n.txt", "extracted_content": "notes"}],
                        files=[{"file_name": "p.png"}],
                    ),
                    message("2", "1", "assistant", {"type": "thinking", "thinking": "Hm."},
                            {"type": "text", "text": "Read."}, {"type": "tool_use", "name": "x"}),
                    message("3", "1", "assistant", text="Old form."),
                ],
            }
        ],
        "Claude",
    )  # fmt: skip
    assert path(found) == [("user", "Read.\n\nn.txt:\n\nnotes"), ("assistant", "Old form.")]
    assert found.messages[1].content == "<think>\nHm.\n</think>\n\nRead."
    assert found.messages[0].notices == ("Not imported with this message: p.png.",)
    assert found.messages[1].notices == ("Not imported with this message: tool_use.",)
    assert found.created == 1_714_557_540.0


def test_claude_without_parents_is_a_chain() -> None:
    said = [{"sender": "human", "text": "a"}, {"sender": "assistant", "text": "b"}]
    assert path(one({"name": "", "chat_messages": said}, "Claude")) == [("user", "a"), ("assistant", "b")]


def test_llamacpp() -> None:
    def message(id_: str, parent: str | None, role: str, content: str, **more: Any) -> dict[str, Any]:
        return {
            "id": id_, "convId": "c", "type": more.pop("type", "text"), "timestamp": 1_700_000_000_000,
            "role": role, "content": content, "parent": parent, "children": [], "thinking": "", **more,
        }  # fmt: skip

    found = one(
        {
            "conv": {"id": "c", "name": "Maths", "lastModified": 1_700_000_001_000, "currNode": "3"},
            "messages": [
                message("0", None, "system", "", type="root"),
                message(
                    "1", "0", "user", "2+2?", extra=[{"type": "textFile", "name": "f", "content": "four"}]
                ),
                message("2", "1", "assistant", "5", model="tiny"),
                message("3", "1", "assistant", "4", thinking="two and two"),
                message("4", "1", "assistant", "22"),
            ],
        },
        "llama.cpp",
    )
    assert path(found) == [
        ("user", "2+2?\n\nf:\n\nfour"),
        ("assistant", "<think>\ntwo and two\n</think>\n\n4"),
    ]
    assert [m.content for m in found.messages][1::2] == ["5", "22"]
    assert (found.title, found.updated, found.created) == ("Maths", 1_700_000_001.0, 1_700_000_000.0)


def test_open_webui() -> None:
    chat = {
        "title": "My Conversation",
        "models": ["llama3.2"],
        "params": {"system": "Be kind."},
        "history": {
            "currentId": "2",
            "messages": {
                "1": {"id": "1", "parentId": None, "childrenIds": ["2"], "role": "user", "content": "Hello",
                      "timestamp": 1_700_000_000},
                "2": {"id": "2", "parentId": "1", "childrenIds": [], "role": "assistant", "content": "Hi!",
                      "model": "llama3.2", "timestamp": 1_700_000_005},
                "3": {"id": "3", "parentId": "1", "childrenIds": [], "role": "assistant", "content": "Hey!"},
            },
        },
    }  # fmt: skip
    for value in ([{"id": "x", "chat": chat, "pinned": True, "updated_at": 1_700_000_009}], chat):
        found = one(value, "Open WebUI")
        assert path(found) == [("user", "Hello"), ("assistant", "Hi!")]
        assert (found.title, found.model, found.system_prompt) == ("My Conversation", "llama3.2", "Be kind.")
        assert found.messages[2].content == "Hey!"
    old = {"chat": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}}
    assert path(one(old, "Open WebUI")) == [("user", "a"), ("assistant", "b")]


def test_sharegpt() -> None:
    turns = [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "hi"},
        {"from": "gpt", "value": "hello"},
        {"from": "function_call", "value": "{}"},
    ]
    for value in ({"conversations": turns}, [{"id": "1", "conversations": turns}], turns):
        found = one(value, "ShareGPT")
        assert path(found) == [("user", "hi"), ("assistant", "hello")]
        assert found.system_prompt == "Be brief."
        assert found.created == DATED


@pytest.mark.parametrize(
    "wrap", [lambda m: m, lambda m: [m], lambda m: {"messages": m}, lambda m: [{"messages": m}]]
)
def test_lists_of_role_and_content(wrap: Any) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {}}],
        },
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "It is 42."},
    ]
    found = one(wrap(messages), "list of messages")
    assert path(found) == [("user", "See"), ("assistant", "It is 42.")]
    assert found.system_prompt == "Be brief."
    assert found.messages[0].notices == ("Not imported with this message: image_url.",)


def test_one_conversation_a_line() -> None:
    line = json.dumps({"messages": [{"role": "user", "content": "a"}]})
    found = read(f"{line}\n\n{line}\n".encode(), "a.jsonl", DATED)
    assert len(found.conversations) == 2


def test_empty_conversations_are_left_out_with_a_notice() -> None:
    value = [{"messages": [{"role": "user", "content": "a"}]}, {"chat_messages": []}]
    found = read(json.dumps(value).encode(), "a.json", DATED)
    assert len(found.conversations) == 1
    assert found.notices == ("1 of 2 conversations have no messages and were left out.",)


def test_half_an_emoji_becomes_a_sign() -> None:
    data = b'\xef\xbb\xbf[{"role": "user", "content": "a\\ud83d b \\ud83d\\ude00"}]'
    (found,) = read(data, "a.json", DATED).conversations
    assert found.messages[0].content == "a\ufffd b 😀"


def test_a_system_message_in_the_middle_stays() -> None:
    said = [{"role": "user", "content": "a"}, {"role": "system", "content": "now French"}]
    assert path(one(said, "list of messages"))[1] == ("system", "now French")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "no conversation"),
        (b"3", "form is not known"),
        (b"null", "form is not known"),
        (b'{"a": 1}', "form is not known"),
        (b'[{"messages": [{"role": "user", "content": "a"}]}, 7]', "conversation 2: its form is not known"),
        (b'{"messages": [{"role": 3, "content": "a"}]}', r"\$.messages\[0\].role"),
        (b'{"mapping": []}', r"\$.mapping"),
        (b'{"mapping": {"a": {"message": {"author": {}, "content": null}}}}', "role"),
        (b'{"conversations": [{"from": "human", "value": 1}]}', r"\$.conversations\[0\].value"),
        (b'{"format": "chatterm-conversations", "version": 2}', "newer chatterm"),
        (b'{"format": "chatterm-conversations", "version": 1}', "conversations"),
        (b'{"messages": 1}\n{"messages": [\n', "line 2|not known"),
    ],
)
def test_mistakes_are_one_sentence_that_names_the_place(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(data, "talk.json", DATED)
    assert caught.value.sentence.startswith("talk.json cannot be imported: ")
    assert "\n" not in caught.value.sentence


def test_circles_are_refused() -> None:
    with pytest.raises(UserError, match="in a circle"):
        read(json.dumps(chatgpt(a=node("b", "user", "x"), b=node("a", "user", "y"))).encode(), "a", DATED)


def test_numbers_of_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MAX_MESSAGES", 3)
    with pytest.raises(UserError, match="4 messages; up to 3"):
        read(json.dumps([{"role": "user", "content": "a"}] * 4).encode(), "a", DATED)


def test_a_long_chain_of_messages(library: Library) -> None:
    said = [{"role": "user", "content": str(number)} for number in range(5_000)]
    library.add_conversations(read(json.dumps(said).encode(), "a", DATED).conversations)
    (found,) = library.conversations()
    assert len(library.whole(found.id).path) == 5_000


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_file(tmp_path / "none.json")
    with pytest.raises(UserError, match="directory"):
        read_file(tmp_path)

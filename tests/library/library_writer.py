"""A program that talks without end and says what was saved, for tests that kill it.

`library_writer.py PATH SEED ACTIONS` waits for a line on its input, then prints one JSON line
`[message, status, content]` after each method of the library has returned.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from chatterm.library import Candidate, Library, Token


def say(message: int, status: str, content: str) -> None:
    print(json.dumps([message, status, content]), flush=True)


def token(text: str) -> Token:
    return Token(
        id=1,
        text=text,
        position=0,
        logprob=-1.0,
        rank=1,
        sampled=0.5,
        entropy=1.0,
        temperature=0.8,
        kept=3,
        candidates=(Candidate(1, text, -1.0, 1, 0.5, None),),
    )


def main() -> None:
    path, seed, actions = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    sys.stdin.readline()
    with Library(path) as library:
        print(json.dumps(library.notices), flush=True)
        conversation = library.create().id
        messages: list[int | None] = [None]
        for number in range(actions):
            parent = rng.choice(messages[-6:])
            match rng.randrange(6):
                case 0:
                    conversation, messages, parent = library.create().id, [None], None
                case 1:
                    if parent is not None:
                        library.select(parent)
                case 2 | 3:
                    content = f"message {seed} {number} 苹果 " + "word " * rng.randrange(2_000)
                    if parent is not None and rng.random() < 0.3:
                        message = library.edit(parent, content)
                    else:
                        message = library.add_message(conversation, parent, "user", content)
                    say(message.id, message.status, message.content)
                    messages.append(message.id)
                case _:
                    reply = library.begin_reply(conversation, parent, model="tiny").id
                    content = ""
                    for second in range(rng.randrange(6)):
                        texts = [f" {seed}-{number}-{second}-{n}" for n in range(rng.randrange(60))]
                        library.extend_reply(reply, [token(text) for text in texts])
                        content += "".join(texts)
                        say(reply, "writing", content)
                    library.finish_reply(reply, "end", text="!")
                    say(reply, "done", content + "!")
                    messages.append(reply)
    print("closed", flush=True)


if __name__ == "__main__":
    main()

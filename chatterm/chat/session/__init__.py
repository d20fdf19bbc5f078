"""A chat session: the conversation, the reply being written, and what the user does to them.

It knows no widget. It tells whoever subscribed what changed (`chatterm.chat.events`); a growing reply is
read by the screen's own clock, so that a fast engine cannot flood it.

The session is a chain of classes, each in its own file and each knowing only those before it: what there is
(`state`), the reply being written (`writing`), going on otherwise (`branching`), saved conversations
(`saved`), and the rest of what the screens ask for (`chat`).
"""

from chatterm.chat.session.chat import ChatSession

__all__ = ["ChatSession"]

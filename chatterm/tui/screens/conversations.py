"""Conversations, their trees and messages: the part of the chat that goes back and goes on otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.command import Provider

from chatterm.chat.turns import Turn
from chatterm.engine.protocol import EngineDiedError
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.library.search import terms
from chatterm.library.text import folded
from chatterm.tui import keys, messages
from chatterm.tui.screens.glass import GlassScreen
from chatterm.tui.text.code import CodeBlock, code_at, code_blocks
from chatterm.tui.text.markdown import Markdown
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.sidebar import Sidebar

WIDE = 160
"""Columns from which on the list of conversations has its own place."""
STILL_WRITING = mark("The reply is still being written; esc stops it.")
NO_MESSAGE = mark("Nothing has been said yet.")
PLAIN_WIDTH = 10_000


def _provider() -> type[Provider]:
    from chatterm.tui.commands.conversation_palette import MessageProvider

    return MessageProvider


class ConversationsScreen(GlassScreen):
    """What the chat does with the sidebar, with a chosen message and with the tree."""

    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_provider}

    wants_sidebar: bool | None = None
    """Whether the list of conversations is to be seen; None: where there is room for it."""
    _copied: tuple[Turn, int] | None = None  # the code block that was copied last
    _other_words: tuple[Turn, int, str] | None = None  # what was edited last, its versions, the words

    @property
    def sidebar(self) -> Sidebar:
        """The list of conversations."""
        return self.query_one(Sidebar)

    @property
    def here(self) -> keys.Scope:
        """Where the keys go."""
        if self.sidebar.has_focus_within:
            return "conversations"
        if self._bar.turn is not None:
            return "messages"
        return "tokens" if self.session.lookout.pin is not None else "chat"

    # --- the list of conversations ----------------------------------------------------------------------

    def fit_sidebar(self, width: int) -> None:
        """Show the list where it belongs: beside the chat, or as a drawer over it."""
        shown, wanted = self.has_class("-sidebar"), self.sidebar_is_wanted(width)
        self.set_class(wanted, "-sidebar")
        if wanted and not shown:
            self.call_after_refresh(self.sidebar.look_again, anew=True)

    def sidebar_is_wanted(self, width: int) -> bool:
        """Whether the list is to be seen, in a window of so many columns."""
        return width >= WIDE if self.wants_sidebar is None else self.wants_sidebar

    def action_conversations(self) -> None:
        """Show the list of conversations, or hide it."""
        if self.has_class("-sidebar") and self.sidebar.has_focus_within:
            self._hide_sidebar()
        else:
            self._open_sidebar()
            self.sidebar.entries.focus()

    def _open_sidebar(self) -> None:
        self.leave_messages()
        self.wants_sidebar = True
        self.fit_sidebar(self.size.width)

    def _hide_sidebar(self) -> None:
        self.wants_sidebar = False
        self.fit_sidebar(self.size.width)
        self.query_one(Composer).focus()

    def action_leave_sidebar(self) -> None:
        """Back to the chat; a drawer closes."""
        if self.has_class("-drawer"):
            self._hide_sidebar()
        else:
            self.query_one(Composer).focus()

    def action_find(self) -> None:
        """Search all conversations."""
        self._open_sidebar()
        self.sidebar.find()

    def action_rename(self) -> None:
        """Another title for the conversation under the cursor."""
        self.sidebar.rename()

    def action_pin(self) -> None:
        """Pin the conversation under the cursor, or no longer."""
        self.sidebar.pin()

    def action_delete(self) -> None:
        """Delete the conversation under the cursor."""
        self.sidebar.delete()

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        self.sidebar.undo()

    @on(messages.ConversationWanted)
    def _conversation_wanted(self, event: messages.ConversationWanted) -> None:
        self.leave_tokens()
        self.action_leave_sidebar()
        self.run_worker(self._open(event), exit_on_error=True)

    async def _open(self, event: messages.ConversationWanted) -> None:
        if event.message is None:
            if event.conversation != self.session.keeper.conversation:
                await self.session.resume(event.conversation)
        else:
            turn = await self.session.jump(event.message)
            if turn is not None:
                words = terms(event.words)
                text = folded(turn.text)
                start, word = min(((text.find(w), w) for w in words if w in text), default=(0, ""))
                self._transcript.show(self.shown)
                self._transcript.point_at(turn, start, start + len(word))
        await self._warn_of_others(event.conversation)

    async def _warn_of_others(self, conversation: int) -> None:
        try:
            elsewhere = await (await self.session.keeper.library()).open_elsewhere()
        except UserError:
            return
        if conversation in elsewhere:
            self.notify(_("It is open in another window too. What you say here becomes a branch of its own."))

    # --- a chosen message -------------------------------------------------------------------------------

    @property
    def _bar(self) -> MessageBar:
        return self.query_one(MessageBar)

    @property
    def _said(self) -> list[Turn]:
        return [turn for turn in self.session.turns if turn.role in ("user", "assistant")]

    @property
    def message(self) -> Turn | None:
        """The chosen message, or the last one that was said."""
        chosen = self._bar.turn
        if chosen is not None and chosen in self.session.turns:
            return chosen
        return self._said[-1] if self._said else None

    @on(messages.MessagePicked)
    def _message_picked(self, event: messages.MessagePicked) -> None:
        if event.turn in self._said:
            self.choose_message(event.turn)

    def choose_message(self, turn: Turn) -> None:
        """Take the keys to a message."""
        self.leave_tokens()
        said = self._said
        self._bar.show(turn, said.index(turn) + 1, len(said))
        self._transcript.mark(turn)
        self._bar.focus()
        self._copied = None
        self.show_keys()

    def leave_messages(self) -> None:
        """No message is chosen."""
        if self._bar.turn is not None:
            self._bar.show(None)
            self._transcript.mark(None)
            self.show_keys()

    def check_message(self) -> None:
        """Another walk through the conversation is shown: the chosen message stays chosen if it is on it."""
        turn = self._bar.turn
        if turn is None:
            return
        if turn in self._said:
            self._transcript.mark(turn)
        else:
            self.leave_messages()

    def action_leave_messages(self) -> None:
        """Back to writing."""
        self.leave_messages()
        self._transcript.follow()
        self.query_one(Composer).focus()

    def action_choose_message(self) -> None:
        """Choose a message, from the last one on; again: none."""
        if self._bar.turn is not None:
            self.action_leave_messages()
        elif (turn := self.message) is not None:
            self.choose_message(turn)
        else:
            self.notify(_(NO_MESSAGE))

    def action_walk_messages(self, step: int) -> None:
        """The message before or after."""
        said, turn = self._said, self.message
        if turn is not None:
            self.choose_message(said[min(max(0, said.index(turn) + step), len(said) - 1)])

    def action_other_version(self, step: int) -> None:
        """Another version of the message."""
        turn = self.message
        if turn is not None:
            self.run_worker(self._show_version(turn, step), exit_on_error=True)

    async def _show_version(self, turn: Turn, step: int) -> None:
        place = self._said.index(turn)
        await self.session.show_sibling(turn, step)
        if self._bar.turn is not None and place < len(self._said):
            self.choose_message(self._said[place])

    def _settled_message(self) -> Turn | None:
        """The message that something is to be done with; says why not if there is none."""
        turn = self.message
        if turn is None:
            self.notify(_(NO_MESSAGE))
        elif self.session.live is not None:
            self.notify(_(STILL_WRITING))
        else:
            return turn
        return None

    def action_edit_message(self) -> None:
        """Edit the message and go on from there."""
        from chatterm.tui.screens.editing import EditScreen

        turn = self._settled_message()
        if turn is None:
            return
        if turn.role == "user":
            title = _("Say it otherwise")
            note = _("The conversation goes on from your new words; what was said stays beside them.")
        else:
            title = _("Other words for the reply")
            note = _("The reply goes on after your words; the old one stays beside it.")

        def go_on(text: str | None) -> None:
            if text is not None and text.strip() and turn in self.session.turns:
                self.action_leave_messages()
                self._other_words = turn, turn.siblings, text
                if turn.role == "assistant":
                    self.session.edit_reply(turn, text)
                else:
                    self.session.say_otherwise(turn, text.strip())

        check = partial(self._check_words, turn)
        self.app.push_screen(EditScreen(title, note, self._words_of(turn), check), go_on)

    def _words_of(self, turn: Turn) -> str:
        """The text of a message; or the user's words for it, if nothing came of them: an engine died."""
        if self._other_words is not None and self._other_words[:2] == (turn, turn.siblings):
            return self._other_words[2]
        return turn.text

    async def _check_words(self, turn: Turn, text: str) -> None:
        if turn not in self.session.turns:
            raise UserError(_("This message is no longer shown; copy your words to take them along."))
        if turn.role == "user" or not text.strip():
            return
        try:
            await self.session.forks.check_words(turn, text)
        except EngineDiedError as error:
            self.session.host.died(error)
            raise

    def action_continue_message(self) -> None:
        """Let the reply go on where it ended."""
        turn = self._settled_message()
        if turn is not None:
            if turn.role == "user":
                self.notify(_("Only a reply can go on; r asks for another one."))
                return
            self.action_leave_messages()
            self.session.continue_reply(turn)

    def action_answer_anew(self) -> None:
        """Another reply at the chosen message."""
        turn = self._settled_message()
        if turn is not None:
            self.action_leave_messages()
            self.session.regenerate(turn)

    def action_unfold_message(self) -> None:
        """Open what is attached to the message, or the thinking, or fold it again."""
        turn = self.message
        if turn is not None and turn.role == "user":
            self._transcript.flip_attachments(turn)
        elif turn is not None:
            self._transcript.fold()

    # --- copying ----------------------------------------------------------------------------------------

    def action_copy_message(self) -> None:
        """Copy the message as Markdown."""
        if (turn := self.message) is not None:
            self._copy(turn.text, _("Copied as Markdown."))

    def action_copy_reply(self) -> None:
        """Copy the last reply as Markdown."""
        if (turn := self.session.last_reply) is not None:
            self._copy(turn.text, _("The last reply is copied as Markdown."))

    def action_copy_plain(self) -> None:
        """Copy the message as it reads on the screen."""
        if (turn := self.message) is not None:
            lines = Markdown(turn.text, PLAIN_WIDTH).lines()
            text = "\n".join(line.text.rstrip() for line in lines)
            self._copy(text, _("Copied as plain text."))

    def action_copy_code(self) -> None:
        """Copy a block of code: the last one of the message, or of the newest that has any."""
        chosen = self._bar.turn
        said = [chosen] if chosen is not None else [t for t in reversed(self._said) if t.role == "assistant"]
        turn = next((turn for turn in said if code_blocks(turn.text)), None)
        if turn is None:
            self.notify(_("There is no block of code here."))
            return
        blocks = code_blocks(turn.text)
        before = self._copied[1] if self._copied is not None and self._copied[0] is turn else 0
        place = (before - 1) % len(blocks)
        self._copied = turn, place
        self._copy_block(blocks[place], place, len(blocks))

    @on(messages.CodeCopied)
    def _code_copied(self, event: messages.CodeCopied) -> None:
        block = code_at(event.turn.text, event.offset)
        if block is not None:
            blocks = code_blocks(event.turn.text)
            self._copy_block(block, blocks.index(block), len(blocks))

    def _copy_block(self, block: CodeBlock, place: int, total: int) -> None:
        what = _("Copied the code.")
        if total > 1:
            what = _("Copied block {place} of {total}.").format(place=place + 1, total=total)
        self._copy(block.code, what)

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(what, markup=False, timeout=3)

    # --- the tree ---------------------------------------------------------------------------------------

    async def action_tree(self) -> None:
        """The whole conversation, to go anywhere in it."""
        from chatterm.tui.screens.tree import TreeScreen

        try:
            nodes = await self.session.keeper.tree()
        except UserError as error:
            self.notify(error.sentence, markup=False)
            return
        if not nodes:
            self.notify(_(NO_MESSAGE))
            return
        self.leave_messages()
        self.app.push_screen(TreeScreen(nodes), self._jump)

    def _jump(self, message: int | None) -> None:
        if message is not None:
            self.run_worker(self._go_to(message), exit_on_error=True)

    async def _go_to(self, message: int) -> None:
        turn = await self.session.jump(message)
        if turn is not None:
            self._transcript.show(self.shown)
            self._transcript.point_at(turn, 0, 0)

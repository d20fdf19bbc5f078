"""A chosen message, and what is done with it: walking to others, other versions, editing, going on."""

from __future__ import annotations

from functools import partial

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.engine.protocol import EngineDiedError
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui.screens.chat.session_view import SessionView
from chatterm.tui.screens.chat.token_walk import TokenWalk
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.transcript import Transcript

STILL_WRITING = mark("The reply is still being written; esc stops it.")
NO_MESSAGE = mark("Nothing has been said yet.")


class MessageActions:
    """The chosen message, or the last one where none is chosen."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        bar: MessageBar,
        transcript: Transcript,
        composer: Composer,
        walk: TokenWalk,
        view: SessionView,
    ) -> None:
        self._screen = screen
        self._session = session
        self._bar = bar
        self._transcript = transcript
        self._composer = composer
        self._walk = walk
        self._view = view
        # what was edited last, its versions, the words
        self._other_words: tuple[Turn, int, str] | None = None

    # --- choosing ---------------------------------------------------------------------------------------

    @property
    def said(self) -> list[Turn]:
        """The messages of the conversation."""
        return [turn for turn in self._session.turns if turn.role in ("user", "assistant")]

    @property
    def chosen(self) -> Turn | None:
        """The chosen message."""
        return self._bar.turn

    @property
    def message(self) -> Turn | None:
        """The chosen message, or the last one that was said."""
        chosen = self._bar.turn
        if chosen is not None and chosen in self._session.turns:
            return chosen
        said = self.said
        return said[-1] if said else None

    def choose(self, turn: Turn) -> None:
        """Take the keys to a message, if it is one of the conversation."""
        said = self.said
        if turn not in said:
            return
        self._walk.leave()
        self._bar.show(turn, said.index(turn) + 1, len(said))
        self._transcript.mark(turn)
        self._bar.focus()
        self._view.show_keys()

    def unchoose(self) -> None:
        """No message is chosen."""
        if self._bar.turn is not None:
            self._bar.show(None)
            self._transcript.mark(None)
            self._view.show_keys()

    def check(self) -> None:
        """Another walk through the conversation is shown: the chosen message stays chosen if it is on it."""
        turn = self._bar.turn
        if turn is None:
            return
        if turn in self.said:
            self._transcript.mark(turn)
        else:
            self.unchoose()

    def leave(self) -> None:
        """Back to writing."""
        self.unchoose()
        self._transcript.follow()
        self._composer.focus()

    def choose_or_leave(self) -> None:
        """Choose a message, from the last one on; again: none."""
        if self._bar.turn is not None:
            self.leave()
        elif (turn := self.message) is not None:
            self.choose(turn)
        else:
            self._screen.notify(_(NO_MESSAGE))

    def walk(self, step: int) -> None:
        """The message before or after."""
        said, turn = self.said, self.message
        if turn is not None:
            self.choose(said[min(max(0, said.index(turn) + step), len(said) - 1)])

    # --- versions ---------------------------------------------------------------------------------------

    def show_version(self, step: int) -> None:
        """Another version of the message."""
        turn = self.message
        if turn is not None:
            self._screen.run_worker(self._show_version(turn, step), exit_on_error=True)

    async def _show_version(self, turn: Turn, step: int) -> None:
        place = self.said.index(turn)
        await self._session.show_sibling(turn, step)
        if self._bar.turn is not None and place < len(self.said):
            self.choose(self.said[place])

    def show_sibling(self, step: int) -> None:
        """Another of the replies to the last message; the newest one, if none of them is on the screen."""
        said = self.said
        if said and said[-1].role == "user" and self._session.live is None:
            self._screen.run_worker(self._show_reply_to(said[-1]), exit_on_error=True)
        elif (reply := self._session.last_reply) is not None:
            self.show_sibling_of(reply, step)

    async def _show_reply_to(self, question: Turn) -> None:
        """Nothing came of the newest reply to a message: show the one before it."""
        try:
            nodes = await self._session.keeper.tree()
        except UserError as error:
            self._screen.notify(error.sentence, markup=False)
            return
        replies = [node.id for node in nodes if node.parent == question.number and node.role == "assistant"]
        if question.number is not None and replies and self._session.live is None:
            await self._session.jump(max(replies))

    def show_sibling_of(self, turn: Turn, step: int) -> None:
        """Another of the replies to the same message."""
        self._screen.run_worker(self._session.show_sibling(turn, step), exit_on_error=True)

    # --- going on ---------------------------------------------------------------------------------------

    def regenerate(self) -> None:
        """Another reply to the last message."""
        self._walk.leave()
        self._session.regenerate()

    def _settled_message(self) -> Turn | None:
        """The message that something is to be done with; says why not if there is none."""
        turn = self.message
        if turn is None:
            self._screen.notify(_(NO_MESSAGE))
        elif self._session.live is not None:
            self._screen.notify(_(STILL_WRITING))
        else:
            return turn
        return None

    def edit(self) -> None:
        """Edit the message and go on from there."""
        from chatterm.tui.dialogs.editing import EditScreen

        turn = self._settled_message()
        if turn is None:
            return
        if turn.role == "user":
            title = _("Say it otherwise")
            note = _("The conversation goes on from your new words; what was said stays beside them.")
        else:
            title = _("Other words for the reply")
            note = _("The reply goes on after your words; the old one stays beside it.")
        check = partial(self._check_words, turn)
        self._screen.app.push_screen(
            EditScreen(title, note, self._words_of(turn), check), partial(self._go_on_from, turn)
        )

    def _go_on_from(self, turn: Turn, text: str | None) -> None:
        if text is None or not text.strip() or turn not in self._session.turns:
            return
        self.leave()
        self._other_words = turn, turn.siblings, text
        if turn.role == "assistant":
            self._session.edit_reply(turn, text)
        else:
            self._session.say_otherwise(turn, text.strip())

    def _words_of(self, turn: Turn) -> str:
        """The text of a message; or the user's words for it, if nothing came of them: an engine died."""
        if self._other_words is not None and self._other_words[:2] == (turn, turn.siblings):
            return self._other_words[2]
        return turn.text

    async def _check_words(self, turn: Turn, text: str) -> None:
        if turn not in self._session.turns:
            raise UserError(_("This message is no longer shown; copy your words to take them along."))
        if turn.role == "user" or not text.strip():
            return
        try:
            await self._session.forks.check_words(turn, text)
        except EngineDiedError as error:
            self._session.host.died(error)
            raise

    def continue_(self) -> None:
        """Let the reply go on where it ended."""
        turn = self._settled_message()
        if turn is not None:
            if turn.role == "user":
                self._screen.notify(_("Only a reply can go on; r asks for another one."))
                return
            self.leave()
            self._session.continue_reply(turn)

    def answer_anew(self) -> None:
        """Another reply at the chosen message."""
        turn = self._settled_message()
        if turn is not None:
            self.leave()
            self._session.regenerate(turn)

    def unfold(self) -> None:
        """Open what is attached to the message, or the thinking, or fold it again."""
        turn = self.message
        if turn is not None and turn.role == "user":
            self._transcript.flip_attachments(turn)
        elif turn is not None:
            self._transcript.fold()

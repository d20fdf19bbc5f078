"""The list of conversations: where it is seen, and opening what is chosen in it."""

from __future__ import annotations

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library.search import terms
from chatterm.library.text import folded
from chatterm.tui.screens.chat.arrangement import WIDE
from chatterm.tui.screens.chat.message_actions import NO_MESSAGE, MessageActions
from chatterm.tui.screens.chat.token_walk import TokenWalk
from chatterm.tui.screens.chat.visible_turns import VisibleTurns
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.sidebar import Sidebar
from chatterm.tui.widgets.transcript import Transcript


class Conversations:
    """Shows the list beside the chat or as a drawer over it, and goes to a conversation or a place in one."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        sidebar: Sidebar,
        transcript: Transcript,
        composer: Composer,
        visible: VisibleTurns,
        walk: TokenWalk,
        message: MessageActions,
    ) -> None:
        self._screen = screen
        self._session = session
        self._sidebar = sidebar
        self._transcript = transcript
        self._composer = composer
        self._visible = visible
        self._walk = walk
        self._message = message
        self._wanted: bool | None = None  # None: where there is room for it

    # --- where it is seen -------------------------------------------------------------------------------

    def fit(self, width: int) -> None:
        """Show the list where it belongs: beside the chat, or as a drawer over it."""
        is_open, wanted = self._screen.has_class("-sidebar"), self.is_wanted(width)
        self._screen.set_class(wanted, "-sidebar")
        if wanted and not is_open:
            self._screen.call_after_refresh(self._sidebar.look_again, anew=True)

    def is_wanted(self, width: int) -> bool:
        """Whether the list is to be seen, in a window of so many columns."""
        return width >= WIDE if self._wanted is None else self._wanted

    def toggle(self) -> None:
        """Show the list and go there, or hide it."""
        if self._screen.has_class("-sidebar") and self._sidebar.has_focus_within:
            self._hide()
        else:
            self._show()
            self._sidebar.entries.focus()

    def _show(self) -> None:
        self._message.unchoose()
        self._wanted = True
        self.fit(self._screen.size.width)

    def _hide(self) -> None:
        self._wanted = False
        self.fit(self._screen.size.width)
        self._composer.focus()

    def leave(self) -> None:
        """Back to the chat; a drawer closes."""
        if self._screen.has_class("-drawer"):
            self._hide()
        else:
            self._composer.focus()

    def search(self) -> None:
        """Search all conversations."""
        self._show()
        self._sidebar.find()

    def new(self) -> None:
        """Begin a new conversation."""
        if self._sidebar.has_focus_within:
            self.leave()
        self._session.new()
        self._composer.focus()

    # --- opening ----------------------------------------------------------------------------------------

    def open(self, conversation: int, message: int | None = None, words: str = "") -> None:
        """Go on with a saved conversation; at a message of it, if one was searched for by `words`."""
        self._walk.leave()
        self.leave()
        self._screen.run_worker(self._open(conversation, message, words), exit_on_error=True)

    async def _open(self, conversation: int, message: int | None, words: str) -> None:
        if message is None:
            if conversation != self._session.keeper.conversation:
                await self._session.resume(conversation)
        else:
            turn = await self._session.jump(message)
            if turn is not None:
                text = folded(turn.text)
                start, word = min(((text.find(w), w) for w in terms(words) if w in text), default=(0, ""))
                self._visible.show()
                self._transcript.point_at(turn, start, start + len(word))
        await self._warn_of_others(conversation)

    async def _warn_of_others(self, conversation: int) -> None:
        try:
            elsewhere = await (await self._session.keeper.library()).open_elsewhere()
        except UserError:
            return
        if conversation in elsewhere:
            self._screen.notify(
                _("It is open in another window too. What you say here becomes a branch of its own.")
            )

    async def show_tree(self) -> None:
        """The whole conversation, to go anywhere in it."""
        from chatterm.tui.dialogs.tree import TreeScreen

        try:
            nodes = await self._session.keeper.tree()
        except UserError as error:
            self._screen.notify(error.sentence, markup=False)
            return
        if not nodes:
            self._screen.notify(_(NO_MESSAGE))
            return
        self._message.unchoose()
        self._screen.app.push_screen(TreeScreen(nodes), self._jump)

    def _jump(self, message: int | None) -> None:
        if message is not None:
            self._screen.run_worker(self._go_to(message), exit_on_error=True)

    async def _go_to(self, message: int) -> None:
        turn = await self._session.jump(message)
        if turn is not None:
            self._visible.show()
            self._transcript.point_at(turn, 0, 0)

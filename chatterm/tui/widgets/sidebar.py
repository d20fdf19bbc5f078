"""The saved conversations beside the chat: to find one, go on with it, name it, pin it, delete it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library import AsyncLibrary, Conversation, Hit
from chatterm.tui import messages
from chatterm.tui.widgets.conversation_list import (
    NOTHING_FOUND,
    NOTHING_SAVED,
    ConversationList,
    Row,
    clock,
    conversation_rows,
    hit_rows,
    title_of,
)
from chatterm.tui.widgets.row_list import RowList

PAGE = 100
"""Rows that are fetched at once."""
TITLES = 20
"""Conversations shown at most because of their titles, before the messages that were found."""
TYPING = 0.1
"""Seconds of quiet after which what was typed is searched."""
LOOK = 10.0
"""Seconds between two looks at what other windows have done."""


class SearchField(Input):
    """What to search for. The arrow keys and Enter go to the list below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "to_list(-1)", show=False),
        Binding("down", "to_list(1)", show=False),
        Binding("escape", "clear", show=False),
    ]

    def action_to_list(self, step: int) -> None:
        """Move the cursor of the list."""
        found = self.screen.query_one(ConversationList)
        found.focus()
        if step < 0:
            found.action_edge(1)

    def action_clear(self) -> None:
        """Search for nothing; once more: back."""
        if self.value:
            self.value = ""
        self.screen.query_one(ConversationList).focus()


class NameField(Input):
    """The title that is being changed, in its row."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def action_leave(self) -> None:
        """The title stays."""
        self.screen.query_one(ConversationList).focus()


class Sidebar(Vertical):
    """A field to search in, and the list. What it asks of the chat goes out as messages."""

    DEFAULT_CSS = """
    Sidebar {
        width: 34;
        layers: default over;
        background: $background;
        border-right: solid $rule;
        & Input {
            border: none;
            height: 1;
            padding: 0 1;
            background: $panel;
            &:focus { border: none; }
        }
        & #search { margin: 0 1 1 1; }
        & #name { layer: over; display: none; width: 1fr; background: $boost; }
    }
    """

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self._session = session
        self._query = ""
        self._conversations: list[Conversation] = []
        self._hits: list[Hit] = []
        self._titled: tuple[Conversation, ...] = ()
        self._has_more = False
        self._fetching = False
        self._stale = False
        self._typing: Timer | None = None
        self._renaming: int | None = None
        self._deleted: list[int] = []

    def compose(self) -> ComposeResult:
        """The field, the list, and a field that lies over a row."""
        yield SearchField(placeholder=_("search all conversations"), id="search")
        yield ConversationList()
        yield NameField(id="name")

    def on_mount(self) -> None:
        """Keep up with other windows."""
        self.set_interval(LOOK, self.look_again)

    @property
    def entries(self) -> ConversationList:
        """The rows."""
        return self.query_one(ConversationList)

    @property
    def is_settled(self) -> bool:
        """Whether it shows what there is."""
        return not (self._fetching or self._stale or self._typing is not None)

    # --- fetching ---------------------------------------------------------------------------------------

    def look_again(self, *, anew: bool = False) -> None:
        """Bring the rows up to date, if they are in sight; `anew`: the cursor on the open conversation."""
        self.entries.current = self._session.keeper.conversation
        if not self.display or not self.is_attached:
            return
        if self._fetching:
            self._stale = True
            return
        self._fetching = True
        self.run_worker(self._fetch(keep=not anew), exit_on_error=True)

    async def _fetch(self, *, keep: bool) -> None:
        try:
            while True:
                self._stale = False
                await self._read()
                if not self._stale:
                    break
        except UserError as error:
            self._session.keeper.tell_once(error)
            return
        finally:
            self._fetching = False
        self._show(keep=keep)

    async def _read(self) -> None:
        library = await self._session.keeper.library()
        if self._query:
            wanted = max(PAGE, len(self._hits))
            self._titled = await library.conversations(matching=self._query, limit=TITLES)
            self._hits = list(await library.search(self._query, limit=wanted))
            self._has_more = len(self._hits) == wanted
        else:
            wanted = max(PAGE, len(self._conversations))
            self._conversations = list(await library.conversations(limit=wanted))
            self._has_more = len(self._conversations) == wanted
        self.entries.elsewhere = await library.open_elsewhere()

    def _show(self, *, keep: bool) -> None:
        if self._query:
            rows = hit_rows(self._titled, self._hits) or [Row(_(NOTHING_FOUND))]
        else:
            rows = conversation_rows(self._conversations, clock().date()) or [Row(_(NOTHING_SAVED))]
        self.entries.current = self._session.keeper.conversation
        self.entries.show(rows, keep=keep)

    @on(ConversationList.MoreWanted)
    def _more_wanted(self) -> None:
        if self._has_more and not self._fetching:
            self._fetching = True
            self.run_worker(self._fetch_more(), exit_on_error=True)

    async def _fetch_more(self) -> None:
        query = self._query
        try:
            library = await self._session.keeper.library()
            if query:
                hits = await library.search(query, limit=PAGE, offset=len(self._hits))
                self._hits += hits
                more = len(hits)
            else:
                conversations = await library.conversations(limit=PAGE, offset=len(self._conversations))
                self._conversations += conversations
                more = len(conversations)
        except UserError as error:
            self._session.keeper.tell_once(error)
            more = 0
        finally:
            self._fetching = False
        self._has_more = more == PAGE
        if self._stale or query != self._query:
            self.look_again()
        else:
            self._show(keep=True)

    # --- searching --------------------------------------------------------------------------------------

    @on(Input.Changed, "#search")
    def _typed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING, self._search)

    def _search(self) -> None:
        self._typing = None
        query = self.query_one("#search", Input).value.strip()
        if query != self._query:
            self._query = query
            self._hits = []
            self.entries.put_cursor(0)
            self.look_again(anew=not query)

    @on(Input.Submitted, "#search")
    def _submitted(self) -> None:
        self.entries.focus()

    def find(self) -> None:
        """Keys to the field."""
        self.query_one("#search").focus()

    # --- choosing ---------------------------------------------------------------------------------------

    @on(RowList.Chosen)
    def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        row = self.entries.row
        if row is not None and row.number is not None:
            hit = row.hit.message if row.hit is not None else None
            self.post_message(messages.ConversationWanted(row.number, hit, self._query if hit else ""))

    # --- changing ---------------------------------------------------------------------------------------

    def rename(self) -> None:
        """Change the title in its row."""
        row = self.entries.row
        if row is None or row.conversation is None:
            return
        self._renaming = row.conversation.id
        name = self.query_one("#name", Input)
        name.value = row.text if row.conversation.title else ""
        name.placeholder = _("empty: named after the first message")
        name.display = True
        name.styles.offset = (
            0,
            self.entries.region.y - self.region.y + self.entries.top_of(self.entries.cursor),
        )
        name.focus()
        name.cursor_position = len(name.value)

    @on(Input.Submitted, "#name")
    def _named(self, event: Input.Submitted) -> None:
        number, title = self._renaming, event.value
        self.entries.focus()
        if number is not None:
            self._do(self._rename(number, title))

    async def _rename(self, number: int, title: str) -> None:
        await (await self._library()).rename(number, title)

    @on(events.DescendantBlur)
    def _left(self) -> None:
        name = self.query_one("#name", Input)
        if not name.has_focus and self._renaming is not None:
            name.display = False
            self._renaming = None

    def pin(self) -> None:
        """Pin the conversation, or no longer."""
        row = self.entries.row
        if row is not None and row.conversation is not None:
            self._do(self._pin(row.conversation))

    async def _pin(self, conversation: Conversation) -> None:
        await (await self._library()).pin(conversation.id, not conversation.pinned)

    def delete(self) -> None:
        """Take the conversation off the list, until it is brought back."""
        row = self.entries.row
        if row is not None and row.conversation is not None:
            self._do(self._delete(row.conversation))

    async def _delete(self, conversation: Conversation) -> None:
        library = await self._library()
        title = title_of(conversation)
        if conversation.id in await library.open_elsewhere():
            raise UserError(
                _("“{title}” is open in another window; close it there first.").format(title=title)
            )
        if conversation.id == self._session.keeper.conversation:
            self._session.new()
        await library.delete(conversation.id)
        self._deleted.append(conversation.id)
        self.notify(
            _("Deleted “{title}”; u in the list brings it back.").format(title=title), markup=False, timeout=8
        )

    def undo(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            self._do(self._undelete(self._deleted.pop()))
        else:
            self.notify(_("Nothing was deleted that could be brought back."))

    async def _undelete(self, number: int) -> None:
        try:
            back = await (await self._library()).undelete(number)
        except UserError:
            self._deleted.insert(0, number)  # tried again, but after the others: it may be gone for ever
            raise
        self.notify(_("“{title}” is back.").format(title=title_of(back)), markup=False)

    async def _library(self) -> AsyncLibrary:
        return await self._session.keeper.library()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._done(work), exit_on_error=True)

    async def _done(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except UserError as error:
            self.notify(inert.line(error.sentence), markup=False)
        self.look_again()

"""Walking over tokens: selecting one, going into the panel and back, colours."""

from __future__ import annotations

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui.screens.chat.arrangement import Arrangement
from chatterm.tui.screens.chat.session_view import SessionView
from chatterm.tui.screens.chat.visible_turns import VisibleTurns
from chatterm.tui.text.token_measures import MEASURES, Measure
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.transcript import Transcript

NOTHING_TO_WALK = mark("There is no reply with tokens to walk over yet.")


class TokenWalk:
    """The selected token, and where the keys go while one is selected."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        transcript: Transcript,
        composer: Composer,
        inspector: Inspector,
        candidates: NextTokenPanel,
        legend: Legend,
        visible: VisibleTurns,
        arrangement: Arrangement,
        view: SessionView,
    ) -> None:
        self._screen = screen
        self._session = session
        self._transcript = transcript
        self._composer = composer
        self._inspector = inspector
        self._candidates = candidates
        self._legend = legend
        self._visible = visible
        self._arrangement = arrangement
        self._view = view

    def pick(self, turn: Turn, index: int) -> None:
        """Select a token and look at it."""
        if not self._inspector.has_focus_within:
            self._transcript.focus(scroll_visible=False)
        place = turn, index
        if turn.role == "context" and turn.origin is not None and index >= turn.kept:
            place = turn.origin, index - turn.kept
        self._session.lookout.select(*place)
        self._transcript.select(turn, index)
        self._show_legend()
        self._arrangement.fit()
        self._session.look_again(only_if_other_values=True)
        self._view.show_look()
        self._view.show_keys()

    def pick_word(self, turn: Turn, offset: int) -> None:
        """Select the token at a character of a message whose tokens are not known yet."""
        self._screen.run_worker(self._pick_word(turn, offset), exit_on_error=True)

    async def _pick_word(self, turn: Turn, offset: int) -> None:
        await self._cut()
        token = turn.token_at(offset)
        if token is not None:
            self.pick(turn, token)

    def leave(self, text: str = "") -> None:
        """Follow the newest token again, and go on with the message, perhaps because of typing `text`."""
        transcript = self._transcript
        if transcript.selected is not None:
            self._session.lookout.release()
            transcript.select(None)
            self._arrangement.fit()
            transcript.follow()
            self._show_legend()
            self._view.show_keys()
        self._composer.focus()
        if text:
            self._composer.insert(text)

    def begin_or_leave(self) -> None:
        """Walk over tokens, from the newest on; again: follow."""
        if self._transcript.selected is not None:
            self.leave()
        else:
            self._screen.run_worker(self._begin(), exit_on_error=True)

    async def _begin(self) -> None:
        walked = [turn for turn in self._visible.turns if turn.seen]
        if walked and (walked[-1].tokens or walked[-1].role == "context"):
            self.pick(walked[-1], len(walked[-1].seen) - 1)
            await self._cut()
            return
        await self._cut()
        walked = [turn for turn in self._visible.turns if turn.seen]
        if walked:
            self.pick(walked[-1], len(walked[-1].seen) - 1)
        else:
            self._screen.notify(_(NOTHING_TO_WALK))

    def keep_coloured(self) -> None:
        """Other messages are shown: they get their numbers too, where colours show them."""
        if self._transcript.measure is not None and self._session.live is None:
            self._screen.run_worker(self._cut(), group="colour", exclusive=True, exit_on_error=True)

    async def _cut(self) -> None:
        """Give the user's messages their tokens, and their numbers where colours show them."""
        try:
            await self._session.reader.cut(
                score=self._transcript.measure is not None and self._session.live is None
            )
        except UserError as error:
            self._screen.notify(error.sentence)
        self._transcript.refresh()

    # --- colours, and what the model reads --------------------------------------------------------------

    def colour(self) -> None:
        """The next thing to colour tokens by, or nothing."""
        cycle: tuple[Measure | None, ...] = (None, *MEASURES)
        measure = cycle[(cycle.index(self._transcript.measure) + 1) % len(cycle)]
        self._transcript.colour(measure)
        self._show_legend()
        if measure is not None:
            self._screen.run_worker(self._cut(), exit_on_error=True)

    def _show_legend(self) -> None:
        transcript = self._transcript
        walking: Measure | None = "surprisal" if transcript.selected is not None else None
        self._legend.show(transcript.measure or walking)

    def context(self) -> None:
        """Show the tokens that the model reads, or the conversation again."""
        if self._visible.is_context:
            self._visible.show_conversation()
            self._keep_selected()
        else:
            self._screen.run_worker(self._show_context(), exit_on_error=True)

    async def _show_context(self) -> None:
        try:
            turn = await self._session.reader.context()
        except UserError as error:
            self._screen.notify(error.sentence)
            return
        if turn is None:
            self._screen.notify(
                _("Nothing has been said yet, so there is nothing that the model would read.")
            )
            return
        self._visible.show_context(turn)
        self._keep_selected()

    def _keep_selected(self) -> None:
        """The same conversation is shown in the other way; the selected token stays selected."""
        pin = self._session.lookout.pin
        if pin is not None:
            place = self._visible.place_of(*pin)
            if place is not None:
                self.pick(*place)
            else:
                self.leave()

    # --- the panel --------------------------------------------------------------------------------------

    def enter_candidates(self) -> None:
        """Over to the candidates."""
        if not self._pick_newest():
            return
        self._inspector.open("next")
        self._candidates.focus()
        self._view.show_keys()

    def _pick_newest(self) -> bool:
        """Select the token that is looked at; whether there is one, and what to do is said if not."""
        place = self._session.lookout.place
        visible = self._visible.place_of(*place) if place is not None else None
        if visible is None:
            self._screen.notify(_(NOTHING_TO_WALK))
            return False
        self.pick(*visible)
        return True

    def leave_panel(self) -> None:
        """Back to the words."""
        if self._transcript.selected is not None:
            self._transcript.focus(scroll_visible=False)
        else:
            self._composer.focus()
        self._view.show_keys()

    def step(self, step: int) -> None:
        """Select the token before (-1) or after (1); the view that is open stays open."""
        if self._transcript.selected is not None or self._pick_newest():
            self._transcript.action_step(step)

    def show_more(self, candidates: int) -> None:
        """Show so many candidates of the selected token at least."""
        lookout = self._session.lookout
        lookout.rows = max(lookout.rows, candidates)
        self._session.look_again()

    def ask_for_word(self) -> None:
        """Ask for a word, and tell its rank."""
        from chatterm.tui.dialogs.asking import AskScreen

        note = _("Its rank and probability here, with a space in front of it and without.")
        self._screen.app.push_screen(AskScreen(_("Find a word"), note), self._find)

    def _find(self, word: str | None) -> None:
        if word:
            self._screen.run_worker(self._find_word(word), exit_on_error=True)

    async def _find_word(self, word: str) -> None:
        try:
            found = await self._session.find(word)
        except UserError as error:
            self._screen.notify(error.sentence)
            return
        if found:
            self._screen.notify(found)

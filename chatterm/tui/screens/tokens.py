"""Walking over tokens and what can be done from one of them: the part of the chat that looks at words."""

from __future__ import annotations

from textual import events, on
from textual.screen import Screen

from chatterm import inert
from chatterm.chat.branches import Branch
from chatterm.chat.prompt_tokens import catch_up
from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui import messages
from chatterm.tui.text.token_measures import MEASURES, Measure
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.transcript import Transcript

NOTHING_TO_WALK = mark("There is no reply with tokens to walk over yet.")


class TokensScreen(Screen[None]):
    """What the chat does with tokens. The chat itself, which derives from it, draws and talks."""

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self.session = session
        self._all_read: list[Turn] | None = (
            None  # shown in place of the conversation: all that the model reads
        )

    def fit(self) -> None:
        """Show what has room, and the panel while a token is selected."""
        raise NotImplementedError

    def show_look(self) -> None:
        """Draw the panel."""
        raise NotImplementedError

    def show_keys(self) -> None:
        """Draw the line of keys."""
        raise NotImplementedError

    @property
    def shown(self) -> list[Turn]:
        """The turns in sight: the conversation, or all that the model reads as one."""
        return self._all_read if self._all_read is not None else self.session.turns

    @property
    def _transcript(self) -> Transcript:
        return self.query_one(Transcript)

    # --- walking ----------------------------------------------------------------------------------------

    @on(messages.TokenPicked)
    def _token_picked(self, event: messages.TokenPicked) -> None:
        self.pick(event.turn, event.index)

    @on(messages.TokensLeft)
    def _tokens_left(self, event: messages.TokensLeft) -> None:
        self.leave_tokens()
        if event.text:
            self.query_one(Composer).insert(event.text)

    @on(messages.WordPicked)
    def _word_picked(self, event: messages.WordPicked) -> None:
        self.run_worker(self._pick_word(event.turn, event.offset), exit_on_error=True)

    async def _pick_word(self, turn: Turn, offset: int) -> None:
        await self._cut()
        token = turn.token_at(offset)
        if token is not None:
            self.pick(turn, token)

    def pick(self, turn: Turn, index: int) -> None:
        """Select a token and look at it."""
        if not self.query_one(Inspector).has_focus_within:
            self._transcript.focus(scroll_visible=False)
        place = turn, index
        if turn.role == "context" and turn.origin is not None and index >= turn.kept:
            place = turn.origin, index - turn.kept
        self.session.lookout.select(*place)
        self._transcript.select(turn, index)
        self._show_legend()
        self.fit()
        self.session.look_again(only_if_other_values=True)
        self.show_look()
        self.show_keys()

    def leave_tokens(self) -> None:
        """Follow the newest token again, and go on with the message."""
        transcript = self._transcript
        if transcript.selected is not None:
            self.session.lookout.release()
            transcript.select(None)
            self.fit()
            transcript.follow()
            self._show_legend()
            self.show_keys()
        self.query_one(Composer).focus()

    def action_select_tokens(self) -> None:
        """Walk over tokens, from the newest on; again: follow."""
        if self._transcript.selected is not None:
            self.leave_tokens()
        else:
            self.run_worker(self._walk(), exit_on_error=True)

    async def _walk(self) -> None:
        walked = [turn for turn in self.shown if turn.seen]
        if walked and (walked[-1].tokens or walked[-1].role == "context"):
            self.pick(walked[-1], len(walked[-1].seen) - 1)
            await self._cut()
            return
        await self._cut()
        walked = [turn for turn in self.shown if turn.seen]
        if walked:
            self.pick(walked[-1], len(walked[-1].seen) - 1)
        else:
            self.notify(_(NOTHING_TO_WALK))

    async def _cut(self) -> None:
        """Give the user's messages their tokens, and their numbers where colours show them."""
        try:
            await self.session.reader.cut(
                score=self._transcript.measure is not None and self.session.live is None
            )
        except UserError as error:
            self.notify(error.sentence)
        self._transcript.refresh()

    # --- colours, and what the model reads --------------------------------------------------------------

    def action_colour(self) -> None:
        """The next thing to colour tokens by, or nothing."""
        cycle: tuple[Measure | None, ...] = (None, *MEASURES)
        measure = cycle[(cycle.index(self._transcript.measure) + 1) % len(cycle)]
        self._transcript.colour(measure)
        self._show_legend()
        if measure is not None:
            self.run_worker(self._cut(), exit_on_error=True)

    def _show_legend(self) -> None:
        transcript = self._transcript
        walking: Measure | None = "surprisal" if transcript.selected is not None else None
        self.query_one(Legend).show(transcript.measure or walking)

    def action_context(self) -> None:
        """Show the tokens that the model reads, or the conversation again."""
        if self._all_read is None:
            self.run_worker(self._show_context(), exit_on_error=True)
        else:
            self._all_read = None
            self._show_other_turns()

    async def _show_context(self) -> None:
        try:
            turn = await self.session.reader.context()
        except UserError as error:
            self.notify(error.sentence)
            return
        if turn is None:
            self.notify(_("Nothing has been said yet, so there is nothing that the model would read."))
            return
        self._all_read = [turn]
        self._show_other_turns()

    def _show_other_turns(self) -> None:
        """Show the same conversation in the other way; the selected token stays selected."""
        self._transcript.show(self.shown)
        pin = self.session.lookout.pin
        if pin is not None:
            place = self._place_of(*pin)
            if place is not None:
                self.pick(*place)
            else:
                self.leave_tokens()

    def _place_of(self, turn: Turn, index: int) -> tuple[Turn, int] | None:
        """Where a token stands in what is shown now."""
        if turn in self.shown:
            return turn, index
        if self._all_read is not None:
            self.grow_context()  # a token that has just come is not drawn yet
            context = self._all_read[0]
            if turn is not context.origin and not turn.prompt:
                return None  # what stood before it is not known
            place = (context.kept if turn is context.origin else len(turn.prompt)) + index
            is_there = place < len(context.given) and context.given[place].id == turn.seen[index].id
            return (context, place) if is_there else None
        for other in self.session.turns:
            first = len(other.prompt)
            if other.given and first <= index < first + len(other.given):
                return other, index - first
        return None

    def forget_context(self) -> None:
        """Another conversation, or another turn: show it as it is said."""
        self._all_read = None

    def grow_context(self) -> None:
        """The reply at the end of what the model reads has grown."""
        if self._all_read is not None and self._all_read[0].origin is not None:
            catch_up(self._all_read[0])
            self._transcript.grew(self._all_read[0])

    # --- candidates -------------------------------------------------------------------------------------

    @on(messages.PanelEntered)
    def _panel_entered(self) -> None:
        place = self.session.lookout.place
        shown = self._place_of(*place) if place is not None else None
        if shown is None:
            self.notify(_(NOTHING_TO_WALK))
            return
        self.pick(*shown)
        self.query_one(Inspector).open("next")
        self.query_one(NextTokenPanel).focus()
        self.show_keys()

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        self.call_after_refresh(self.show_keys)

    @on(messages.PanelLeft)
    def _panel_left(self) -> None:
        if self._transcript.selected is not None:
            self._transcript.focus(scroll_visible=False)
        else:
            self.query_one(Composer).focus()
        self.show_keys()

    @on(messages.TokenStep)
    def _token_step(self, event: messages.TokenStep) -> None:
        if self._transcript.selected is None:
            self._panel_entered()
        self._transcript.action_step(event.step)

    @on(messages.MoreWanted)
    def _more_wanted(self, event: messages.MoreWanted) -> None:
        self.session.lookout.rows = max(self.session.lookout.rows, event.candidates)
        self.session.look_again()

    @on(messages.FindWanted)
    def _find_wanted(self) -> None:
        from chatterm.tui.screens.asking import AskScreen

        note = _("Its rank and probability here, with a space in front of it and without.")
        self.app.push_screen(AskScreen(_("Find a word"), note), self._find)

    def _find(self, word: str | None) -> None:
        if word:
            self.run_worker(self._find_word(word), exit_on_error=True)

    async def _find_word(self, word: str) -> None:
        try:
            found = await self.session.find(word)
        except UserError as error:
            self.notify(error.sentence)
            return
        if found:
            self.notify(found)

    def action_enter_candidates(self) -> None:
        """Over to the candidates."""
        self._panel_entered()

    def action_leave_candidates(self) -> None:
        """Back to the words."""
        self._panel_left()

    def action_leave(self) -> None:
        """Follow the newest token again."""
        self.leave_tokens()

    def action_find_word(self) -> None:
        """The rank of a word."""
        self._find_wanted()

    def action_own_words(self) -> None:
        """Go on from words of the user's own."""
        self._words_wanted()

    def action_fork(self) -> None:
        """Go on from the candidate under the cursor."""
        self.query_one(NextTokenPanel).action_fork()

    # --- going on otherwise -----------------------------------------------------------------------------

    def _branch(self) -> Branch | None:
        place = self.session.lookout.place
        return Branch(*place) if place is not None else None

    @on(messages.CandidateChosen)
    def _candidate_chosen(self, event: messages.CandidateChosen) -> None:
        branch = self._branch()
        if branch is not None:
            self.leave_tokens()
            self.session.fork(branch, (event.candidate.id,))

    @on(messages.WordsWanted)
    def _words_wanted(self) -> None:
        from chatterm.tui.screens.asking import AskScreen

        branch = self._branch()
        if branch is None:
            return
        came = branch.reply.piece(branch.at)
        note = _("In place of “{token}”; a space in front counts. The reply goes on after them.")
        note = note.format(token=inert.token(came))

        def go_on(text: str | None) -> None:
            if text:
                self.leave_tokens()
                self.session.fork(branch, text=text)

        title = _("Go on from your own words")
        self.app.push_screen(AskScreen(title, note, " " * came.startswith(" ")), go_on)

    def action_continuations(self) -> None:
        """Several continuations from the selected token, side by side."""
        from chatterm.tui.screens.continuations import ContinuationsScreen

        branch = self._branch()
        if branch is None:
            self.notify(_("Nothing has been written yet that could go on in several ways."))
            return
        self.app.push_screen(ContinuationsScreen(self.session, branch), self._adopted)

    def _adopted(self, adopted: bool | None) -> None:
        if adopted:
            self.leave_tokens()

    def action_rank_plot(self) -> None:
        """Probability against rank at the selected token."""
        from chatterm.tui.screens.rank_plot import RankPlotScreen

        if self.session.lookout.place is None:
            self.notify(_("Nothing has been written yet; there are no probabilities to plot."))
            return
        self.app.push_screen(RankPlotScreen(self.session))

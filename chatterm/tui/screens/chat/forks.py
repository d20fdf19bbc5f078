"""Going on otherwise from a token: another candidate, words of the user's own, several continuations."""

from __future__ import annotations

from textual.screen import Screen

from chatterm import inert
from chatterm.chat.branches import Branch
from chatterm.chat.session import ChatSession
from chatterm.language import _
from chatterm.records.generation import Candidate
from chatterm.tui.screens.chat.token_walk import TokenWalk


class Forks:
    """What can be done from the token that is looked at."""

    def __init__(self, screen: Screen[None], session: ChatSession, walk: TokenWalk) -> None:
        self._screen = screen
        self._session = session
        self._walk = walk

    def _branch(self) -> Branch | None:
        place = self._session.lookout.place
        return Branch(*place) if place is not None else None

    def take(self, candidate: Candidate) -> None:
        """Go on from a candidate in place of the token that came."""
        branch = self._branch()
        if branch is not None:
            self._walk.leave()
            self._session.fork(branch, (candidate.id,))

    def own_words(self) -> None:
        """Go on from words of the user's own."""
        from chatterm.tui.dialogs.asking import AskScreen

        branch = self._branch()
        if branch is None:
            return
        came = branch.reply.piece(branch.at)
        note = _("In place of “{token}”; a space in front counts. The reply goes on after them.")
        note = note.format(token=inert.token(came))

        def go_on(text: str | None) -> None:
            if text:
                self._walk.leave()
                self._session.fork(branch, text=text)

        title = _("Go on from your own words")
        self._screen.app.push_screen(AskScreen(title, note, " " * came.startswith(" ")), go_on)

    def continuations(self) -> None:
        """Several continuations from the selected token, side by side."""
        from chatterm.tui.dialogs.continuations import ContinuationsScreen

        branch = self._branch()
        if branch is None:
            self._screen.notify(_("Nothing has been written yet that could go on in several ways."))
            return
        self._screen.app.push_screen(ContinuationsScreen(self._session, branch), self._adopted)

    def _adopted(self, adopted: bool | None) -> None:
        if adopted:
            self._walk.leave()

    def rank_plot(self) -> None:
        """Probability against rank at the selected token."""
        from chatterm.tui.dialogs.rank_plot import RankPlotScreen

        if self._session.lookout.place is None:
            self._screen.notify(_("Nothing has been written yet; there are no probabilities to plot."))
            return
        self._screen.app.push_screen(RankPlotScreen(self._session))

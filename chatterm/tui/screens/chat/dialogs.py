"""Opens the dialogs of the chat that need nothing but the session."""

from __future__ import annotations

from collections.abc import Callable

from textual.screen import Screen

from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.settings import Settings

Apply = Callable[[Settings, str], str]
"""Lets a changed setting hold; see `SettingsScreen`."""


class Dialogs:
    """Imports a dialog when it is opened for the first time: the first frame needs none."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        draft: Callable[[], str],
        apply: Apply | None,
    ) -> None:
        """`draft` gives the message as it would be sent now; without `apply` there are no settings."""
        self._screen = screen
        self._session = session
        self._draft = draft
        self._apply = apply

    def choose_model(self) -> None:
        """Choose a model."""
        from chatterm.tui.dialogs.picker import PickerScreen

        self._screen.app.push_screen(PickerScreen(self._session))

    def parameters(self, field: str = "temperature") -> None:
        """Turn the sampling values."""
        from chatterm.tui.dialogs.parameters import ParametersScreen

        self._screen.app.push_screen(ParametersScreen(self._session, field))

    def window(self) -> None:
        """What fills the window, and what to leave out."""
        from chatterm.tui.dialogs.context import ContextScreen

        self._screen.app.push_screen(ContextScreen(self._session, self._draft()))

    def system_prompt(self) -> None:
        """Edit the system prompt of this conversation."""
        from chatterm.tui.dialogs.system_prompt import SystemPromptScreen

        self._screen.app.push_screen(SystemPromptScreen(self._session))

    def presets(self) -> None:
        """Choose, save, rename, delete presets."""
        from chatterm.tui.dialogs.presets import PresetsScreen

        self._screen.app.push_screen(PresetsScreen(self._session))

    def raw(self) -> None:
        """The rendered template, to be read and edited."""
        self._screen.run_worker(self._raw(), exit_on_error=True)

    async def _raw(self) -> None:
        from chatterm.tui.dialogs.raw import RawScreen

        try:
            rendered = await self._session.rendered(self._draft())
        except UserError as error:
            self._screen.notify(error.sentence, severity="warning", timeout=8, markup=False)
            return
        self._screen.app.push_screen(RawScreen(self._session, rendered))

    def settings(self) -> None:
        """All settings."""
        from chatterm.tui.dialogs.settings import SettingsScreen

        if self._apply is not None:
            self._screen.app.push_screen(SettingsScreen(self._session.settings, self._apply))

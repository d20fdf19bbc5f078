"""A list of rows to choose from."""

from __future__ import annotations

from textual.widgets import OptionList


class Options(OptionList):
    """One that can be paged through also where it has no room: then nothing moves."""

    def action_page_up(self) -> None:
        """A page towards the beginning."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """A page towards the end."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]

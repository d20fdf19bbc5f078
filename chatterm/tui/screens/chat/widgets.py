"""The widgets of the chat's screen."""

from __future__ import annotations

from chatterm.chat.session import ChatSession
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import Composer
from chatterm.tui.widgets.control_bar import ControlBar
from chatterm.tui.widgets.inspector import Inspector
from chatterm.tui.widgets.key_line import KeyLine
from chatterm.tui.widgets.legend import Legend
from chatterm.tui.widgets.message_bar import MessageBar
from chatterm.tui.widgets.next_token import NextTokenPanel
from chatterm.tui.widgets.sidebar import Sidebar
from chatterm.tui.widgets.status_line import StatusLine
from chatterm.tui.widgets.system_line import SystemLine
from chatterm.tui.widgets.transcript import Transcript
from chatterm.tui.widgets.welcome import Welcome


class Widgets:
    """One of each, from the top of the screen to its bottom."""

    def __init__(self, session: ChatSession) -> None:
        self.controls = ControlBar()
        self.sidebar = Sidebar(session)
        self.system = SystemLine()
        self.welcome = Welcome()
        self.transcript = Transcript()
        self.legend = Legend()
        self.bar = MessageBar()
        self.candidates = NextTokenPanel(session.settings.candidates)
        self.inspector = Inspector(session, self.candidates)
        self.completions = Completions()
        self.chips = Chips()
        self.composer = Composer()
        self.status = StatusLine()
        self.keys = KeyLine()

"""The chat: the widgets that are on the screen while people talk with a model, and the way of every key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import Provider
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.language import _
from chatterm.tui import keys, messages
from chatterm.tui.commands.table import Command
from chatterm.tui.screens.chat.arrangement import Arrangement
from chatterm.tui.screens.chat.comparisons import Comparisons
from chatterm.tui.screens.chat.completing import Completing
from chatterm.tui.screens.chat.composing import Composing
from chatterm.tui.screens.chat.compositor import SparingCompositor
from chatterm.tui.screens.chat.conversations import Conversations
from chatterm.tui.screens.chat.copying import Copying
from chatterm.tui.screens.chat.dialogs import Apply, Dialogs
from chatterm.tui.screens.chat.direct_drawing import DirectDrawing
from chatterm.tui.screens.chat.forks import Forks
from chatterm.tui.screens.chat.message_actions import MessageActions
from chatterm.tui.screens.chat.panel_views import PanelViews
from chatterm.tui.screens.chat.reply_clock import ReplyClock
from chatterm.tui.screens.chat.session_view import SessionView
from chatterm.tui.screens.chat.token_walk import TokenWalk
from chatterm.tui.screens.chat.visible_turns import VisibleTurns
from chatterm.tui.screens.chat.widgets import Widgets
from chatterm.tui.widgets.chips import ChipsChanged, Unfold
from chatterm.tui.widgets.completions import Completions
from chatterm.tui.widgets.composer import PLACEHOLDER, Composer
from chatterm.tui.widgets.knobs import BY_FIELD

NEWS = 10.0
"""Seconds for which something that happened beside the conversation is shown."""


def _messages_and_conversations() -> type[Provider]:
    from chatterm.tui.commands.conversation_palette import MessageProvider

    return MessageProvider


class ChatScreen(Screen[None]):
    """Composes the widgets and the parts that control them, and brings keys and messages to the parts.

    Attributes:
        session: the conversation and what is done to it.
        widgets: what is on the screen.
    """

    DEFAULT_CSS = """
    ChatScreen {
        background: $background;
        & #middle { height: 1fr; layers: default over; }
        & Sidebar { display: none; }
        &.-sidebar Sidebar { display: block; }
        &.-drawer Sidebar { layer: over; width: 40; background: $surface; }
        &.-drawer Sidebar RowList { background: $surface; }
        & #conversation { width: 1fr; }
        & Inspector { display: none; }
        &.-panel Inspector { display: block; }
        &.-narrow Inspector { width: 40; max-width: 50%; }
        &.-wide Inspector { width: 60; }
        &.-bottom #middle { layout: vertical; }
        &.-bottom #conversation { width: 100%; height: 1fr; }
        &.-bottom Inspector { width: 100%; height: 50%; }
        &.-maximised Inspector { width: 1fr; height: 1fr; }
        &.-maximised #conversation { display: none; }
        &.-maximised Composer { display: none; }
        &.-low Composer { border: none; min-height: 1; max-height: 3; }
        & Transcript { display: none; }
        &.-talking Transcript { display: block; }
        &.-talking Welcome { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("chat")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_messages_and_conversations}
    AUTO_FOCUS = "Composer"

    def __init__(
        self,
        session: ChatSession,
        *,
        panel: bool = True,
        layout_file: Path | None = None,
        apply: Apply | None = None,
    ) -> None:
        """`panel`: whether the panel is seen where there is room; for the others see the parts."""
        super().__init__()
        self._compositor = SparingCompositor()
        self.session = session
        self._conversation: int | None = None  # that is shown, by its number
        self.widgets = widgets = Widgets(session)
        transcript, inspector, composer = widgets.transcript, widgets.inspector, widgets.composer
        self.visible_turns = visible = VisibleTurns(session, transcript)
        self.view = view = SessionView(self, session, visible, widgets)
        self.arrangement = Arrangement(self, inspector, transcript, panel=panel, file=layout_file)
        self.clock = ReplyClock(
            self, session, visible=visible, transcript=transcript, inspector=inspector, view=view
        )
        self.panel = PanelViews(self, inspector, self.arrangement, view)
        self.walk = walk = TokenWalk(
            self,
            session,
            transcript=transcript,
            composer=composer,
            inspector=inspector,
            candidates=widgets.candidates,
            legend=widgets.legend,
            visible=visible,
            arrangement=self.arrangement,
            view=view,
        )
        self.forks = Forks(self, session, walk)
        self.comparisons = Comparisons(self, session, inspector, walk)
        self.message = MessageActions(
            self, session, bar=widgets.bar, transcript=transcript, composer=composer, walk=walk, view=view
        )
        self.copying = Copying(self, session, self.message)
        self.conversations = Conversations(
            self,
            session,
            sidebar=widgets.sidebar,
            transcript=transcript,
            composer=composer,
            visible=visible,
            walk=walk,
            message=self.message,
        )
        self._make_writing_parts(apply)
        self._route_keys()

    def _make_writing_parts(self, apply: Apply | None) -> None:
        widgets, session = self.widgets, self.session
        self.completing = Completing(
            self, composer=widgets.composer, completions=widgets.completions, attach=self._attach_later
        )
        self.composing = Composing(
            self,
            session,
            composer=widgets.composer,
            chips=widgets.chips,
            completing=self.completing,
            walk=self.walk,
            run_command=self._run_command,
        )
        self.dialogs = Dialogs(self, session, draft=lambda: self.composing.draft, apply=apply)

    def _route_keys(self) -> None:
        """What each action of the tables in `tui/keys` calls."""
        walk, forks, panel, message = self.walk, self.forks, self.panel, self.message
        conversations, sidebar, transcript = self.conversations, self.widgets.sidebar, self.widgets.transcript
        # tokens
        self.action_select_tokens = walk.begin_or_leave
        self.action_leave = walk.leave
        self.action_colour = walk.colour
        self.action_context = walk.context
        self.action_enter_candidates = walk.enter_candidates
        self.action_leave_candidates = walk.leave_panel
        self.action_find_word = walk.ask_for_word
        self.action_own_words = forks.own_words
        self.action_fork = self.widgets.candidates.action_fork
        self.action_continuations = forks.continuations
        self.action_rank_plot = forks.rank_plot
        # the panel
        self.action_view = panel.turn
        self.action_open_view = panel.open
        self.action_enter_panel = panel.enter
        self.action_maximise = panel.maximise
        self.action_move_panel = self.arrangement.move
        self.action_resize_panel = self.arrangement.resize
        self.action_compare = self.comparisons.compare_edits
        self.action_compare_models = self.comparisons.choose_model
        self.action_self_check = self.comparisons.self_check
        # messages
        self.action_choose_message = message.choose_or_leave
        self.action_leave_messages = message.leave
        self.action_walk_messages = message.walk
        self.action_other_version = message.show_version
        self.action_sibling = message.show_sibling
        self.action_regenerate = message.regenerate
        self.action_edit_message = message.edit
        self.action_continue_message = message.continue_
        self.action_answer_anew = message.answer_anew
        self.action_unfold_message = message.unfold
        self.action_copy_message = self.copying.message
        self.action_copy_reply = self.copying.reply
        self.action_copy_plain = self.copying.plain
        self.action_copy_code = self.copying.code
        self.action_fold = transcript.fold
        self.action_bottom = transcript.follow
        # conversations
        self.action_new = conversations.new
        self.action_conversations = conversations.toggle
        self.action_leave_sidebar = conversations.leave
        self.action_find = conversations.search
        self.action_tree = conversations.show_tree
        self.action_rename = sidebar.rename
        self.action_pin = sidebar.pin
        self.action_delete = sidebar.delete
        self.action_undo = sidebar.undo
        # the message that is being written, and dialogs
        self.action_edit_outside = self.composing.edit_outside
        self.action_window = self.dialogs.window
        self.action_edit_system_prompt = self.dialogs.system_prompt
        self.action_presets = self.dialogs.presets
        self.action_raw = self.dialogs.raw
        self.action_pick = self.dialogs.choose_model
        self.action_parameters = self.dialogs.parameters
        self.action_settings = self.dialogs.settings

    def compose(self) -> ComposeResult:
        """Controls, conversation and panel, input, status, keys."""
        size = self.app.size  # classes are set before there is anything whose styles would change
        self.arrangement.set_classes(size)
        self.set_class(self.conversations.is_wanted(size.width), "-sidebar")
        widgets = self.widgets
        yield widgets.controls
        with Horizontal(id="middle"):
            yield widgets.sidebar
            with Vertical(id="conversation"):
                yield widgets.system
                yield widgets.welcome
                yield widgets.transcript
                yield widgets.legend
                yield widgets.bar
            yield widgets.inspector
        yield widgets.completions
        yield widgets.chips
        yield widgets.composer
        yield widgets.status
        yield widgets.keys

    def on_mount(self) -> None:
        """Show what there is, and follow it."""
        self.set_interval(1.0, self._look_after_engine)
        self.on_resize()
        self.widgets.composer.draws = DirectDrawing(self)
        if self.has_class("-sidebar"):
            self.call_after_refresh(self.widgets.sidebar.look_again, anew=True)
        self.clock.start()
        self.arrangement.open_last_view()
        self.view.show_all()

    def _look_after_engine(self) -> None:
        if self.session.live is None:
            self.session.host.look()
            self.clock.frame()

    @property
    def here(self) -> keys.Scope:
        """Where the keys go."""
        if self.widgets.sidebar.has_focus_within:
            return "conversations"
        if self.message.chosen is not None:
            return "messages"
        return "tokens" if self.session.lookout.pin is not None else "chat"

    def say_again(self) -> None:
        """Draw everything in another language."""
        self.widgets.composer.placeholder = _(PLACEHOLDER)
        for widget in self.query("*"):
            widget.notify_style_update()  # what was drawn is forgotten
            widget.refresh()
        self.view.show_all()

    # --- keys of the screen itself ----------------------------------------------------------------------

    def action_hotter(self) -> None:
        """Temperature up."""
        self._turn_knob("temperature", 1)

    def action_colder(self) -> None:
        """Temperature down."""
        self._turn_knob("temperature", -1)

    def _turn_knob(self, field: str, steps: int) -> None:
        knob = BY_FIELD[field]
        self.session.change(**{field: knob.turned(knob.value(self.session.values.sampling), steps)})

    def action_stop(self) -> None:
        """Stop the reply; without one, go to the end of the conversation."""
        if self.session.stop():
            self.view.show_stopping()
        else:
            self.widgets.transcript.follow()
            self.widgets.composer.focus()

    def action_toggle_panel(self) -> None:
        """Show or hide the panel."""
        self.walk.leave()
        self.arrangement.toggle()

    def action_page(self, direction: int) -> None:
        """Scroll."""
        if self.widgets.sidebar.has_focus_within:
            self.widgets.sidebar.entries.page(direction)
            return
        self.widgets.transcript.page(direction)

    def action_top(self) -> None:
        """To the beginning."""
        self.widgets.transcript.scroll_to(y=0, animate=False)

    # --- commands ---------------------------------------------------------------------------------------

    async def _run_command(self, command: Command, rest: str) -> None:
        await command.act(self, rest)

    async def attach(self, path: Path) -> None:
        """Let a file go along with the message."""
        await self.composing.attach(path)

    def _attach_later(self, path: Path) -> None:
        self.run_worker(self.composing.attach(path), exit_on_error=True)

    def detach_all(self) -> None:
        """No file goes along with the message."""
        self.composing.detach_all()

    def begin_command(self, command: Command) -> None:
        """Run a command that needs nothing more; any other is put into the message."""
        self.composing.begin_command(command)

    # --- size and mouse ---------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Another size of the terminal."""
        self.arrangement.fit()
        self.conversations.fit(self.size.width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """On the edge of the panel: begin to drag it."""
        self.arrangement.mouse_down(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag."""
        self.arrangement.mouse_move(event)

    def on_mouse_up(self) -> None:
        """End the drag."""
        self.arrangement.mouse_up()

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        self.call_after_refresh(self.view.show_keys)

    # --- from the session and the widgets ---------------------------------------------------------------

    @on(messages.SessionChanged)
    def _session_changed(self, event: messages.SessionChanged) -> None:
        match event:
            case messages.TurnsReplaced():
                self._turns_replaced()
            case messages.TurnAdded(turn):
                self.view.show_turn_added()
                if turn.live:
                    self.clock.begin_reply()
                self.session.count_attachments([turn])
                self.widgets.sidebar.look_again()
            case messages.TurnChanged(turn):
                self.view.show_turn(turn)
                if not turn.live:
                    self.widgets.sidebar.look_again()
                    self.walk.keep_coloured()
            case messages.StateChanged():
                self.view.look_is_stale = True  # why the panel is empty may have changed
                self.view.show_state()
            case messages.SamplingChanged():
                self.view.show_sampling()
            case messages.LookChanged():
                self.view.look_is_stale = True
            case messages.Told(sentence, is_trouble):
                severity: Literal["warning", "information"] = "warning" if is_trouble else "information"
                self.notify(inert.line(sentence), severity=severity, timeout=NEWS, markup=False)

    def _turns_replaced(self) -> None:
        self.visible_turns.forget_context()
        self.clock.begin_reply()
        self.view.show_all()
        self.message.check()
        self.widgets.sidebar.look_again()
        turns = self.session.turns
        self.widgets.composer.remember([turn.text for turn in turns if turn.role == "user"])
        self.walk.keep_coloured()
        self._notice_other_conversation()

    def _notice_other_conversation(self) -> None:
        before, self._conversation = self._conversation, self.session.keeper.conversation
        if not self.session.turns or (before is not None and before != self._conversation):
            self.widgets.inspector.begin_conversation()

    @on(messages.TurnsShown)
    def _turns_shown(self, event: messages.TurnsShown) -> None:
        self.session.read_records(event.turns)
        self.session.count_attachments(event.turns)

    @on(messages.TokenMessage)
    def _about_tokens(self, event: messages.TokenMessage) -> None:
        match event:
            case messages.TokenPicked(turn, index):
                self.walk.pick(turn, index)
            case messages.WordPicked(turn, offset):
                self.walk.pick_word(turn, offset)
            case messages.TokensLeft(text):
                self.walk.leave(text)
            case messages.TokenStep(step):
                self.walk.step(step)
            case messages.MoreWanted(candidates):
                self.walk.show_more(candidates)
            case messages.FindWanted():
                self.walk.ask_for_word()
            case messages.CandidateChosen(candidate):
                self.forks.take(candidate)
            case messages.WordsWanted():
                self.forks.own_words()
            case messages.PanelEntered():
                self.walk.enter_candidates()
            case messages.PanelLeft():
                self.walk.leave_panel()
            case messages.ViewOpened(key):
                self.arrangement.remember_view(key)
            case messages.EditsChanged():
                self.view.show_state()
            case messages.CompareWanted():
                self.comparisons.compare_edits()
            case messages.CompareModelWanted(model):
                self.comparisons.compare_with(model)

    @on(messages.ConversationMessage)
    def _about_conversation(self, event: messages.ConversationMessage) -> None:
        match event:
            case messages.MessagePicked(turn):
                self.message.choose(turn)
            case messages.SiblingWanted(turn, step):
                self.message.show_sibling_of(turn, step)
            case messages.CodeCopied(turn, offset):
                self.copying.code_at(turn, offset)
            case messages.ConversationWanted(conversation, message, words):
                self.conversations.open(conversation, message, words)
            case messages.Nudged(field, steps):
                self._turn_knob(field, steps)
            case messages.ValueChosen(field, value):
                self.session.change(**{field: value})
            case messages.PickerWanted():
                self.dialogs.choose_model()
            case messages.ParametersWanted(field):
                self.dialogs.parameters(field)

    @on(messages.WritingMessage)
    def _about_writing(self, event: messages.WritingMessage) -> None:
        match event:
            case messages.ExampleChosen(text):
                self.widgets.composer.focus()
                self.session.send(text)
            case messages.Submitted(text):
                self.composing.submit(text)
            case messages.CompletionWanted(sends):
                self.completing.take(sends=sends)
            case messages.LongPaste(text):
                self.composing.attach_paste(text)

    @on(Composer.Changed)
    @on(ChipsChanged)
    def _edited(self) -> None:
        self.composing.edited()

    @on(Completions.Chosen)
    def _completion_clicked(self) -> None:
        self.completing.take()

    @on(Unfold)
    def _unfold(self, event: Unfold) -> None:
        self.composing.unfold(event.attachment)

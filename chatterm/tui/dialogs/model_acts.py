"""What can be done with models besides loading them: verify, delete, unload; pause or give up a download."""

from __future__ import annotations

import re
from functools import partial
from typing import Literal

from chatterm import inert
from chatterm.chat.downloads import Download
from chatterm.chat.session import ChatSession
from chatterm.checkpoint.catalog import find_entry
from chatterm.engine.messages import Discovered
from chatterm.errors import UserError
from chatterm.language import _, several
from chatterm.records.supply import FoundCheckpoint
from chatterm.tui.dialogs.acts import Act, ActsScreen
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.messages import CompareModelWanted, ModelChosen
from chatterm.tui.text import bars, models

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[^:]+)?", re.ASCII)


class ModelActs(Dialog[None]):
    """A screen from which things are done with models.

    Attributes:
        machine: what was found on this machine, once it was looked for.
    """

    def __init__(self, session: ChatSession) -> None:
        super().__init__()
        self.session = session
        self.machine: Discovered | None = None

    def look_again(self) -> None:
        """Something was downloaded or deleted."""
        raise NotImplementedError

    def is_loaded(self, path: str) -> bool:
        """Whether the checkpoint at `path` answers now."""
        info = self.session.info
        return info is not None and info.path == path

    @staticmethod
    def names_repository(typed: str) -> bool:
        """Whether what was typed is the id of a repository on the hub."""
        return REPOSITORY.fullmatch(typed) is not None

    def _say(self, sentence: str, *, trouble: bool = False) -> None:
        severity: Literal["warning", "information"] = "warning" if trouble else "information"
        self.app.notify(inert.line(sentence), severity=severity, timeout=10.0, markup=False)

    # --- a checkpoint on this machine -------------------------------------------------------------------

    def about_checkpoint(self, found: FoundCheckpoint) -> None:
        """All that is known of it, and what can be done with it."""
        loaded = self.is_loaded(found.path)
        facts = (
            (_("family"), found.family or ""),
            (_("parameters"), bars.count(found.parameters) if found.parameters else ""),
            (_("weights"), " · ".join((found.quantisation or found.format, bars.size(found.file_bytes)))),
            (_("context"), _("{count} tokens").format(count=bars.count(found.trained_context or 0))),
            (_("memory"), models.fit(found.memory_bytes, self.machine)),
            (_("speed"), models.speed_reason(found.step_bytes, self.machine)),
            (_("licence"), found.licence),
            (_("lies in"), found.source),
            (_("path"), found.path),
        )
        acts = [Act("unload", _("Unload it: give its memory back"))] if loaded else []
        acts += [] if loaded else [Act("load", _("Load it"))]
        if self.session.info is not None and not loaded:
            compare = _("Compare it with {model}, side by side")
            acts.append(Act("compare", compare.format(model=inert.line(self.session.info.name))))
        acts.append(Act("verify", _("Verify its files against their checksums")))
        if found.is_ours:
            acts.append(Act("delete", _("Delete it from this machine …")))
        note = "" if found.is_ours else _("chatterm did not download it, and so does not delete it.")
        self.app.push_screen(ActsScreen(found.name, facts, acts, note), partial(self._act_on, found))

    def _act_on(self, found: FoundCheckpoint, act: str | None) -> None:
        match act:
            case "load":
                self.post_message(ModelChosen(found.path))
                self.dismiss(None)
            case "compare":
                self.dismiss(None)
                self.app.screen_stack[0].post_message(CompareModelWanted(found.path))
            case "unload":
                self.session.stop()
                self.run_worker(self._unload(), group="acts")
            case "verify":
                self._say(_("{name} is being verified; go on meanwhile.").format(name=found.name))
                self.app.run_worker(self._verify(found), group="verify", exit_on_error=True)
            case "delete":
                self.ask_to_delete(found)
            case _:
                pass

    async def _unload(self) -> None:
        await self.session.host.unload()
        self.look_again()

    async def _verify(self, found: FoundCheckpoint) -> None:
        name = inert.line(found.name)
        engines = self.session.engines
        engine = None
        try:
            engine = await engines.spare()
            verdict = await engine.verify(found.path)
        except UserError as error:
            self._say(error.sentence, trouble=True)
            return
        finally:
            if engine is not None:
                await engines.close_spare(engine)
        if verdict.problems:
            self._say(f"{name}: {verdict.problems[0]}", trouble=True)
            return
        files = several("{count} file", "{count} files", verdict.checked).format(count=verdict.checked)
        self._say(
            _("{name} is whole: {files} ({size}) hold what they should.").format(
                name=name, files=files, size=bars.size(verdict.size)
            )
        )

    # --- deleting ---------------------------------------------------------------------------------------

    def ask_to_delete(self, found: FoundCheckpoint) -> None:
        """Ask, with a figure of what it frees."""
        if self.is_loaded(found.path):
            self._say(_("It is loaded now; unload it first (F2), or load another one."), trouble=True)
            return
        self.run_worker(self._ask_to_delete(found), group="acts")

    async def _ask_to_delete(self, found: FoundCheckpoint) -> None:
        try:
            scout = await self.session.engines.scout()
            freed = await scout.delete(found.path, really=False)
        except UserError as error:
            self._say(error.sentence, trouble=True)
            return
        files = several("{count} file", "{count} files", freed.files).format(count=freed.files)
        facts = ((_("frees"), f"{bars.size(freed.size)} · {files}"), (_("path"), found.path))
        acts = (
            Act("keep", _("No, keep it")),
            Act("delete", _("Delete it; it can be downloaded again")),
        )
        title = _("Delete {name}?").format(name=found.name)
        self.app.push_screen(ActsScreen(title, facts, acts), partial(self._delete_if, found))

    def _delete_if(self, found: FoundCheckpoint, act: str | None) -> None:
        if act == "delete":
            self.run_worker(self._delete(found), group="acts")

    async def _delete(self, found: FoundCheckpoint) -> None:
        try:
            scout = await self.session.engines.scout()
            freed = await scout.delete(found.path, really=True)
        except UserError as error:
            self._say(error.sentence, trouble=True)
            return
        name, size = inert.line(found.name), bars.size(freed.size)
        self._say(_("{name} was deleted; {size} are free again.").format(name=name, size=size))
        for download in self.session.downloads.all:
            if download.path == found.path:
                self.session.downloads.forget(download)
                break
        self.look_again()

    # --- what can be downloaded -------------------------------------------------------------------------

    def about_entry(self, name: str) -> None:
        """An entry of the catalog, before it is downloaded."""
        entry = find_entry(name)
        assert entry is not None, "the row was made from it"
        page = f"https://huggingface.co/{entry.hub.repository}"
        gated = _("Its licence has to be accepted first, at {page}; then log in with `hf auth login`.")
        facts = (
            (_("size"), models.download_size(entry)),
            (_("licence"), f"{entry.licence} · {entry.licence_url}"),
            (_("parameters"), bars.count(entry.parameters)),
            (_("context"), _("{count} tokens").format(count=bars.count(entry.context))),
            (_("comes from"), page),
        )
        acts = (
            Act("download", _("Download; go on chatting meanwhile")),
            Act("load", _("Download, and load it then")),
        )
        note = _(entry.description) + (f" {gated.format(page=page)}" if entry.hub.gated else "")

        def decided(act: str | None) -> None:
            if act is not None:
                self.session.downloads.begin(entry.name, then_load=act == "load")

        self.app.push_screen(ActsScreen(entry.title, facts, acts, note), decided)

    def about_download(self, download: Download) -> None:
        """How far it is, and what can be done with it."""
        amount = bars.size(download.done)
        if download.total:
            amount = _("{done} of {total}").format(done=amount, total=bars.size(download.total))
        facts = ((_("so far"), amount),)
        acts: list[Act] = []
        match download.state:
            case "running" | "waiting":
                acts.append(Act("pause", _("Pause it; what has come is kept")))
            case "done":
                acts += [Act("load", _("Load it")), Act("forget", _("Take it off this list"))]
            case "elsewhere":
                acts.append(Act("forget", _("Take it off this list")))
            case _ if download.name:
                acts.append(Act("resume", _("Go on with it")))
        if download.state not in ("done", "elsewhere"):
            acts.append(
                Act(
                    "cancel",
                    _("Give it up, and delete what has come ({size})").format(size=bars.size(download.done)),
                )
            )
        note = download.sentence
        title = download.name or download.key
        self.app.push_screen(ActsScreen(title, facts, acts, note), partial(self._act_on_download, download))

    def _act_on_download(self, download: Download, act: str | None) -> None:
        downloads = self.session.downloads
        match act:
            case "pause":
                downloads.pause(download)
            case "resume":
                downloads.resume(download)
            case "forget":
                downloads.forget(download)
            case "load":
                self.post_message(ModelChosen(download.path))
                self.dismiss(None)
            case "cancel":
                self.run_worker(self._give_up(download), group="acts")
            case _:
                pass

    async def _give_up(self, download: Download) -> None:
        try:
            freed = await self.session.downloads.cancel(download)
        except UserError as error:
            self._say(error.sentence, trouble=True)
            return
        size = bars.size(freed)
        self._say(_("{name} was given up; {size} are free again.").format(name=download.title, size=size))

"""Which model answers: opening one, changing to another, and getting over the death of an engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from chatterm.chat.engines import Engines, LocalEngine
from chatterm.engine.protocol import EngineDiedError
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.records.generation import ModelInfo

DEATHS_IN_A_ROW = 2
"""After so many deaths without a finished reply between them, an engine is not started again by itself."""


class ModelHost:
    """Keeps a model ready. Whatever goes wrong is told, and the old model stays if there is one.

    Args:
        engines: owns the processes.
        folders: further folders to look for checkpoints in.
        tell: says a sentence in the conversation.
        ready: is called when another model answers; the flag says whether the user should hear of it.
        quiet: waits until no reply is being written.
        changed: is called when there is something new to show.
        run: runs a coroutine in the background.

    Attributes:
        trouble: why there is no model, one sentence, or "".
    """

    def __init__(
        self,
        engines: Engines,
        folders: tuple[str, ...],
        *,
        tell: Callable[[str], object],
        ready: Callable[[ModelInfo, bool], object],
        quiet: Callable[[], Awaitable[object]],
        changed: Callable[[], object],
        run: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._engines = engines
        self._folders = folders
        self._tell = tell
        self._ready = ready
        self._quiet = quiet
        self._changed = changed
        self._run = run
        self._deaths = 0
        self.is_closed = False
        self.is_busy = False
        self.trouble = ""

    async def open(self, model: str) -> None:
        """Find a model, load it while the chat goes on, and let it answer from then on."""
        if self.is_busy:
            self._tell(_("A model is being loaded already; wait for it."))
            return
        self.is_busy = True
        self.trouble = ""
        try:
            await self._find_and_switch(model)
        except UserError as error:
            self.trouble = "" if self._engines.info else error.sentence
            self._tell(error.sentence)
        finally:
            self.is_busy = False
            self._changed()

    async def _find_and_switch(self, model: str) -> None:
        try:
            await self._switch(await self._engines.find(model))
        except EngineDiedError as error:
            self._tell(_("{trouble} It is tried once more.").format(trouble=error.sentence))
            await self._switch(await self._engines.find(model))

    async def _switch(self, path: str) -> None:
        old, old_path = self._engines.engine, self._engines.path
        if old is not None and await self.must_make_room(path):
            await self._quiet()
            self._tell(_("Both models do not fit into memory, so the old one is unloaded first."))
            await self._engines.drop()
        try:
            engine = await self._engines.load(path)
        except UserError as error:
            if old is None or self._engines.engine is not None:
                raise
            await self._adopt(await self._engines.load(old_path), old_path, told=False)
            sentence = _("{trouble} The model from before is back.").format(trouble=error.sentence)
            raise UserError(sentence) from error
        self._deaths = 0
        await self._adopt(engine, path, told=True)

    async def must_make_room(self, path: str) -> bool:
        """Whether memory does not hold the checkpoint at `path` beside what is loaded."""
        try:
            found = await (await self._engines.scout()).discover(self._folders)
        except UserError:
            return False
        needed = next((c.memory_bytes for c in found.checkpoints if c.path == path), None)
        return needed is not None and needed > found.available_bytes

    async def _adopt(self, engine: LocalEngine, path: str, *, told: bool) -> None:
        try:
            await self._quiet()
        except BaseException:  # cancelled: nobody else knows of this engine, and it holds a whole model
            await engine.close()
            raise
        try:
            await self._engines.adopt(engine, path)
        finally:  # it answers, even if closing the old one was cut short
            self.trouble = ""
            assert engine.info is not None
            self._ready(engine.info, told)

    async def unload(self) -> None:
        """Give the model's memory back; what is said meanwhile is answered once another one is loaded."""
        if self.is_busy or self._engines.engine is None:
            return
        self.is_busy = True
        try:
            await self._quiet()
            await self._engines.drop()
            self.trouble = _("The model was unloaded; F3 loads one again.")
        finally:
            self.is_busy = False
            self._changed()

    def finished(self) -> None:
        """A reply ended as it should: the engine is sound."""
        self._deaths = 0

    def look(self) -> None:
        """Notice an engine that has died while nothing was asked of it."""
        engine = self._engines.engine
        if engine is not None and not engine.alive and not self.is_busy:
            self._run(self._find_out(engine))

    async def _find_out(self, engine: LocalEngine) -> None:
        try:
            await engine.tokenize("")  # its refusal says what it died of
        except EngineDiedError as error:
            self.died(error)
        except UserError:
            return

    def died(self, error: EngineDiedError) -> None:
        """The engine is gone: tell it, and start it again with the same model, but not for ever.

        Of several who noticed it the first is heard.
        """
        engine = self._engines.engine
        if not self.is_closed and not self.is_busy and engine is not None and not engine.alive:
            self.is_busy = True
            self._run(self._revive(error))

    async def _revive(self, error: EngineDiedError) -> None:
        path = self._engines.path
        self._deaths += 1
        try:
            await self._quiet()
            await self._engines.drop()
            if self._deaths >= DEATHS_IN_A_ROW:
                raise UserError(
                    _("{trouble} That was twice in a row; choose another model with ctrl+o.").format(
                        trouble=error.sentence
                    )
                )
            sentence = _("{trouble} What was written is kept; the engine is being started again.")
            self._tell(sentence.format(trouble=error.sentence))
            await self._adopt(await self._engines.load(path), path, told=False)
        except UserError as trouble:
            self.trouble = trouble.sentence
            self._tell(trouble.sentence)
        finally:
            self.is_busy = False
            self._changed()

    async def close(self) -> None:
        """End the engines."""
        self.is_closed = True
        await self._engines.close()

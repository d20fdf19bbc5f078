"""What could not be saved when it should have been, and is tried again before anything else is saved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable

from chatterm.errors import UserError
from chatterm.library import AsyncLibrary

Save = Callable[[AsyncLibrary], Awaitable[None]]


class NotYetError(UserError):
    """It hangs on something that is not saved either, of which the user has been told."""


class Behind:
    """Savings in the order in which they were asked for, each until it succeeds.

    One that can never succeed, because its conversation was deleted elsewhere, holds up no other.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[object, Save]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def of(self, place: object) -> bool:
        """Whether something of this place is not saved."""
        return any(waiting is place for waiting, _ in self._waiting.values())

    def add(self, what: Hashable, place: object, save: Save) -> None:
        """`what` of `place` is to be saved by the next `catch_up`."""
        self._waiting[what] = (place, save)

    async def catch_up(self, library: AsyncLibrary) -> list[UserError]:
        """Save what can be saved; why the rest cannot."""
        errors: list[UserError] = []
        for what, (_, save) in list(self._waiting.items()):
            try:
                await save(library)
            except NotYetError:
                continue
            except UserError as error:
                errors.append(error)
                continue
            del self._waiting[what]
        return errors

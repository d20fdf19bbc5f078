"""What could not be saved when it should have been, and is tried again before anything else is saved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from chatterm.errors import UserError
from chatterm.library import AsyncLibrary

Save = Callable[[AsyncLibrary], Awaitable[None]]


class NotYetError(UserError):
    """It hangs on something that is not saved either: a reply that has no token yet, or one that failed."""


@dataclass(slots=True)
class _Waiting:
    place: object
    save: Save
    has_failed: bool = False


class Behind:
    """Savings in the order in which they were asked for, each until it succeeds.

    One that can never succeed, because its conversation was deleted elsewhere, holds up no other.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, _Waiting] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def of(self, place: object) -> bool:
        """Whether something of this place is not saved."""
        return any(waiting.place is place for waiting in self._waiting.values())

    def has_failed(self, place: object) -> bool:
        """Whether something of this place could not be saved when it was tried."""
        return any(waiting.place is place and waiting.has_failed for waiting in self._waiting.values())

    def add(self, what: Hashable, place: object, save: Save) -> None:
        """`what` of `place` is to be saved by the next `catch_up`."""
        self._waiting[what] = _Waiting(place, save)

    async def catch_up(self, library: AsyncLibrary) -> list[UserError]:
        """Save what can be saved; why the rest cannot."""
        errors: list[UserError] = []
        for what, waiting in list(self._waiting.items()):
            try:
                await waiting.save(library)
            except NotYetError:
                continue
            except UserError as error:
                waiting.has_failed = True
                errors.append(error)
                continue
            if self._waiting.get(what) is waiting:  # else there is more of it to save by now
                del self._waiting[what]
        return errors

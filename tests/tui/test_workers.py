"""Work that is called off before it begins ends in silence."""

from __future__ import annotations

import gc
import warnings


async def test_what_is_called_off_before_it_begins_leaves_no_warning(chat):
    begun = []

    async def work() -> None:
        begun.append(True)

    async with chat() as it:
        await it.ready()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            it.app.run_worker(work()).cancel()
            await it.pilot.pause()
            gc.collect()
        assert not begun
        assert not [str(one.message) for one in caught if "never awaited" in str(one.message)]


async def test_what_is_under_way_ends_as_it_does_elsewhere(chat):
    async def work() -> int:
        return 3

    async with chat() as it:
        await it.ready()
        assert await it.app.run_worker(work()).wait() == 3

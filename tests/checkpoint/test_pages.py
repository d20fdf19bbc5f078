"""The memory of mapped files: given back when it was read, and the same bytes when it is read again."""

from __future__ import annotations

import mmap
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from chatterm.checkpoint.files import map_file
from chatterm.checkpoint.pages import Pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/smaps is Linux's")
SIZE = 4 << 20


def resident(path: Path) -> int:
    """Bytes of a mapped file that stand in this process's memory."""
    text = Path("/proc/self/smaps").read_text()
    found = re.findall(rf"{re.escape(str(path))}\nSize:.*?\nRss: +(\d+) kB", text, re.DOTALL)
    assert found
    return sum(map(int, found)) << 10


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(np.random.default_rng(0).bytes(SIZE))
    return path


def test_what_was_read_is_given_back_and_can_be_read_again(file: Path) -> None:
    data = np.frombuffer(map_file(file), np.uint8)
    pages = Pages([data[5:100].reshape(5, 19), data[200:]])
    total = int(data.sum())
    assert resident(file) == SIZE
    pages.give_back(data.ctypes.data + SIZE // 2, SIZE // 2)
    assert resident(file) == SIZE // 2
    pages.give_all_back()
    assert resident(file) == 0
    pages.fetch(data.ctypes.data, SIZE)
    assert int(data.sum()) == total


def test_a_part_of_a_page_goes_with_the_page(file: Path) -> None:
    data = np.frombuffer(map_file(file), np.uint8)
    data.sum()
    Pages([data]).give_back(data.ctypes.data + mmap.PAGESIZE + 7, 3)
    assert resident(file) < SIZE  # at least one page less; of a file in huge pages all of one


@pytest.mark.parametrize(("start", "size"), [(-1, 5), (SIZE, 1), (SIZE + 4096, 1 << 40), (10, 0), (10, -20)])
def test_other_memory_is_left_alone(file: Path, start: int, size: int) -> None:
    data = np.frombuffer(map_file(file), np.uint8)
    data.sum()
    pages = Pages([data, np.ones(1 << 20, np.uint8)])
    pages.give_back(data.ctypes.data + start, size)
    pages.fetch(data.ctypes.data + start, size)
    assert resident(file) == SIZE


def test_numbers_in_no_file_are_never_thrown_away() -> None:
    numbers = np.arange(1 << 20)
    pages = Pages([numbers.view(np.uint8)])
    pages.give_back(numbers.ctypes.data, numbers.nbytes)
    pages.give_all_back()
    assert np.array_equal(numbers, np.arange(1 << 20))


def test_more_than_the_file_has_ends_with_it(file: Path) -> None:
    data = np.frombuffer(map_file(file), np.uint8)
    data.sum()
    Pages([data]).give_back(data.ctypes.data + SIZE - 1, 1 << 40)
    assert resident(file) < SIZE

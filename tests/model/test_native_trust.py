"""The native operator is loaded only from where nobody else can have put it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chatterm.model.native import build
from chatterm.model.native.build import NotBuiltError, compiled, expected, library
from chatterm.model.native.trust import distrust

OTHER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def above(tmp_path: Path) -> Path:
    """A folder of ours in which the cache folder lies."""
    (tmp_path / "above").mkdir(mode=0o755)
    return tmp_path / "above"


@pytest.fixture
def file(above: Path) -> Path:
    """A compiled operator in a cache folder, as chatterm makes them."""
    for folder in (above / "cache", above / "cache" / "native"):
        folder.mkdir(mode=0o700)
    found = above / "cache" / "native" / "step.so"
    found.touch(mode=0o600)
    return found


def distrusted(file: Path) -> str:
    return distrust(file, file.parents[1])


def test_what_chatterm_makes_is_trusted_and_so_is_what_is_not_there_yet(file: Path) -> None:
    assert distrusted(file) == ""
    assert distrusted(file.with_name("other.so")) == ""
    file.unlink()
    file.parent.rmdir()
    file.parents[1].rmdir()
    assert distrusted(file) == ""


@pytest.mark.parametrize("writers", [0o020, 0o002])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_others_may_write_to_it_or_to_a_folder_of_the_cache(file: Path, level: int, writers: int) -> None:
    changed = (file, *file.parents)[level]
    for sticky in (0, 0o1000):
        changed.chmod(0o700 | writers | sticky)
        assert distrusted(file) == f"others may write to {changed}; delete it, it is made anew"


def test_a_folder_above_may_be_shared_if_nobody_can_take_ours_away(file: Path, above: Path) -> None:
    above.chmod(0o775)
    assert distrusted(file) == ""
    above.chmod(0o1777)
    assert distrusted(file) == ""
    above.chmod(0o777)
    assert distrusted(file).startswith(f"others may write to {above}; name another folder")


@as_root
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_it_or_a_folder_belongs_to_somebody_else(file: Path, level: int) -> None:
    changed = (file, *file.parents)[level]
    os.chown(changed, OTHER, -1)
    assert distrusted(file).startswith(f"{changed} belongs to somebody else")
    changed.chmod(changed.stat().st_mode | 0o1000)
    assert bool(distrusted(file)) == (level < 3)


@as_root
def test_what_is_roots_is_trusted_and_what_is_a_strangers_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(file, OTHER, -1)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert distrusted(file) == ""
    monkeypatch.setattr(os, "geteuid", lambda: OTHER + 1)
    assert "belongs to somebody else" in distrusted(file)


def test_links_within_the_cache_and_to_it_are_followed(file: Path, above: Path) -> None:
    (above / "cache" / "linked").symlink_to("native/../native")
    (above / "there").symlink_to(above / "cache")
    assert distrust(above / "there" / "linked" / file.name, above / "there") == ""
    file.parent.chmod(0o777)
    assert "others may write" in distrust(above / "there" / "linked" / file.name, above / "there")


def test_a_link_out_of_the_cache_is_not(file: Path, above: Path) -> None:
    (above / "elsewhere.so").touch(mode=0o600)
    file.unlink()
    file.symlink_to(above / "elsewhere.so")
    assert distrusted(file) == f"{file} is a link out of the cache folder"
    file.unlink()
    file.symlink_to(file)
    assert distrusted(file) == f"{file} leads in circles"


@as_root
def test_a_link_of_somebody_else_is_not_followed(file: Path, above: Path) -> None:
    above.chmod(0o1777)
    link = above / "there"
    link.symlink_to(above / "cache")
    os.lchown(link, OTHER, -1)
    assert distrust(link / "native" / file.name, link).startswith(f"{link} belongs to somebody else")


@pytest.mark.timeout(20)
def test_a_pipe_is_no_library(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)
    assert distrusted(file) == f"{file} is neither a file nor a folder"


# --- and so it is neither loaded nor compiled -----------------------------------------------------------


@pytest.fixture
def here(above: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, and a source that compiles at once."""
    monkeypatch.setenv("CHATTERM_CACHE", str(above / "cache"))
    monkeypatch.delenv("CHATTERM_NATIVE", raising=False)
    if not expected():
        pytest.skip("there is no compiler")
    (above / "small.c").write_text("int small(void) { return 7; }\n")
    return above


def make(above: Path) -> Path:
    return compiled(above, ("small.c",))


def test_it_is_compiled_and_found_again(here: Path) -> None:
    made = make(here)
    assert made == make(here) and made.parent == Path(os.path.realpath(here)) / "cache" / "native"


def test_each_processor_that_is_named_gets_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {make(here)}
    for march in ("native", "no-such-processor"):
        monkeypatch.setenv(build.MARCH, march)
        if march == "native":
            made.add(make(here))
        else:
            with pytest.raises(NotBuiltError, match="does not compile"):
                make(here)
    assert len(made) == 2


@pytest.mark.parametrize("march", ["native -fplugin=x.so", "../x", "x;y", "@file"])
def test_only_a_name_is_passed_to_the_compiler(
    here: Path, monkeypatch: pytest.MonkeyPatch, march: str
) -> None:
    monkeypatch.setenv(build.MARCH, march)
    with pytest.raises(NotBuiltError, match="is no name of a processor"):
        make(here)


def plant(path: Path) -> None:
    path.chmod(0o606)


def open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


@pytest.mark.parametrize("change", [plant, open_folder])
def test_what_others_may_change_is_not_used(here: Path, change: Callable[[Path], None]) -> None:
    change(make(here))
    with pytest.raises(NotBuiltError, match="not trusted: others may write to"):
        make(here)


def test_nothing_is_compiled_where_others_could_exchange_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_run", lambda *_: pytest.fail("the compiler was started"))
    (here / "cache").mkdir()
    (here / "cache").chmod(0o777)
    with pytest.raises(NotBuiltError, match="not trusted"):
        make(here)
    assert not expected()


def test_a_folder_that_somebody_makes_at_the_last_moment_is_seen(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_open(folder: Path) -> None:
        folder.mkdir(parents=True)
        folder.chmod(0o777)

    monkeypatch.setattr(build, "_run", lambda *_: pytest.fail("the compiler was started"))
    monkeypatch.setattr(build.paths, "make_private", make_open)
    with pytest.raises(NotBuiltError, match="not trusted"):
        make(here)


def test_a_library_that_somebody_puts_there_at_the_last_moment_is_seen(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(file: Path) -> bool:
        file.parent.mkdir(parents=True)
        file.parent.chmod(0o777)
        file.touch()
        return True

    monkeypatch.setattr(Path, "exists", planted)
    with pytest.raises(NotBuiltError, match="not trusted"):
        make(here)


def test_the_operator_itself_is_not_loaded_and_doctor_says_why(here: Path) -> None:
    """In a process of its own: an operator that is loaded stays loaded."""
    (here / "cache").mkdir()
    (here / "cache").chmod(0o777)
    code = "from chatterm.engine.machine import _by_torch; print(_by_torch())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"by torch (not trusted: others may write to {here / 'cache'};")


@as_root
def test_an_operator_that_another_user_planted_is_not_run(here: Path) -> None:
    made = make(here)
    os.chown(made, OTHER, -1)
    with pytest.raises(NotBuiltError, match="belongs to somebody else"):
        make(here)
    assert made.exists()


@as_root
@pytest.mark.parametrize(("owner", "is_trusted"), [(0, True), (OTHER, True), (OTHER + 1, False)])
def test_another_user_trusts_root_and_themselves(owner: int, is_trusted: bool) -> None:
    code = (
        "import os, sys; from pathlib import Path; from chatterm.model.native.trust import distrust\n"
        f"os.setgid({OTHER}); os.setuid({OTHER}); cache = Path(sys.argv[1])\n"
        "print(distrust(cache / 'native' / 'a.so', cache))"
    )
    with TemporaryDirectory(dir="/tmp") as folder:  # pytest's own folder lets nobody else in
        cache = Path(folder)
        cache.chmod(0o755)
        os.chown(cache, owner, -1)
        ran = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    said = "" if is_trusted else f"{folder} belongs to somebody else; name another folder in CHATTERM_CACHE"
    assert ran.stdout == f"{said}\n"


def test_the_real_one_is_trusted() -> None:
    try:
        assert library()
    except NotBuiltError as error:
        assert "not trusted" not in str(error)

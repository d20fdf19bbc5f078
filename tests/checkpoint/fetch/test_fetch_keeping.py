"""What becomes of a download: receipts, paused ones, verifying and deleting."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from chatterm.checkpoint.fetch import FetchStoppedError, HubError, Timeouts, fetch
from chatterm.checkpoint.fetch.keeping import is_ours, remove, verify
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.receipts import receipt_of, receipts
from chatterm.checkpoint.fetch.unfinished import discard, unfinished
from chatterm.checkpoint.locate import NotFoundError, locate
from chatterm.errors import UserError
from tests.checkpoint.fetch.fetching import TINY

HURRIED = Timeouts(tries=2, pause=0.01)


@pytest.fixture
def quantised(hub):
    hub.repositories["organisation/tiny-GGUF"] = {
        "tiny-Q4_K_M.gguf": b"GGUF4" * 20_000,
        "tiny-Q8_0.gguf": b"GGUF8" * 20_000,
        "tiny-F16-00001-of-00002.gguf": b"GGUF1" * 20_000,
        "tiny-F16-00002-of-00002.gguf": b"GGUF2" * 20_000,
    }
    return hub


def checked(path: Path):
    return verify(path, Meter())


def left(models: Path) -> list[str]:
    """Everything in the models folder but for locks."""
    return sorted(path.name for path in models.rglob("*") if path.is_file() and path.suffix != ".lock")


# --- verifying ------------------------------------------------------------------------------------------


def test_a_download_is_verified_without_the_network(quantised, models, monkeypatch):
    whole, split = fetch(TINY), fetch("organisation/tiny-GGUF:F16")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    verdict = checked(whole)
    assert (verdict.checked, verdict.problems, verdict.unknown) == (6, (), ())
    assert verdict.size == sum(file.stat().st_size for file in whole.iterdir())
    assert checked(split).checked == 2


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.write_bytes(b"x" + file.read_bytes()[1:]), "other content than was announced"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "was announced with 1500000"),
        (lambda file: file.unlink(), "is missing"),
    ],
    ids=["another byte", "too short", "gone"],
)
def test_damage_is_found_and_named(hub, models, damage, says):
    path = fetch(TINY)
    damage(path / "model.safetensors")
    (problem,) = checked(path).problems
    assert says in problem and problem.startswith("model.safetensors")


def test_verifying_can_be_stopped(hub, models):
    path = fetch(TINY)
    with pytest.raises(FetchStoppedError):
        verify(path, Meter(cancel=lambda: True))


def test_stores_that_name_files_by_their_checksum(models, put_checkpoint, tmp_path):
    made = put_checkpoint(tmp_path / "made")
    snapshot = Path("~/.cache/huggingface/hub/models--a--b/snapshots").expanduser() / ("a" * 40)
    blobs = snapshot.parent.parent / "blobs"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in made.iterdir():
        content = file.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        name = hashlib.sha256(content).hexdigest() if file.suffix == ".safetensors" else git
        (blobs / name).write_bytes(content)
        (snapshot / file.name).symlink_to(blobs / name)
    assert checked(snapshot).checked == 3 and not checked(snapshot).problems
    blob = (snapshot / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
    assert "other content" in checked(snapshot).problems[0]

    content = b"GGUF of Ollama"
    blob = tmp_path / f"sha256-{hashlib.sha256(content).hexdigest()}"
    blob.write_bytes(content)
    assert checked(blob).problems == ()


def test_a_file_of_ones_own_has_no_checksums(models, put_gguf):
    path = put_gguf(models / "mine.gguf")
    with pytest.raises(UserError, match=r"No checksums are known for mine\.gguf.*models check"):
        checked(path)


# --- deleting -------------------------------------------------------------------------------------------


def test_deleting_says_what_it_frees_before_and_takes_all_of_it_away(hub, models):
    path = fetch(TINY)
    size = sum(file.stat().st_size for file in path.iterdir())
    assert is_ours(path)
    before = left(models)
    assert (remove(path, really=False).size, remove(path, really=False).files) == (size, 6)
    assert left(models) == before, "a question deletes nothing"
    assert remove(path, really=True).size == size
    assert left(models) == [] and not (models / "organisation").exists()
    with pytest.raises(NotFoundError):
        locate(TINY)
    assert fetch(TINY) == path, "and it can be had again"


def test_only_that_file_of_several(quantised, models):
    four, eight = fetch("organisation/tiny-GGUF:Q4_K_M"), fetch("organisation/tiny-GGUF:Q8_0")
    split = fetch("organisation/tiny-GGUF:F16")
    assert remove(four, really=True).files == 1
    assert eight.exists() and not four.exists()
    assert remove(split, really=True).files == 2
    assert [path.name for path in receipts(models)] == ["tiny-Q8_0.gguf"]


def test_what_the_user_put_beside_it_stays(hub, models):
    path = fetch(TINY)
    (path / "notes.txt").write_text("mine")
    remove(path, really=True)
    assert [file.name for file in path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("shared", ["hard link", "symbolic link"])
def test_shared_content_frees_nothing_and_survives(quantised, models, tmp_path, shared):
    path = fetch("organisation/tiny-GGUF:Q4_K_M")
    elsewhere = tmp_path / "elsewhere.gguf"
    if shared == "hard link":
        os.link(path, elsewhere)
    else:
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    assert remove(path, really=True).size == 0
    assert elsewhere.read_bytes() == b"GGUF4" * 20_000 and not path.is_symlink()


def test_what_chatterm_did_not_download_is_not_deleted(models, put_gguf, put_in_hub_cache, tmp_path):
    mine = put_gguf(models / "mine.gguf")
    cached = put_in_hub_cache("a/b", "a" * 40)
    blob = put_gguf(Path("~/.ollama/models/blobs/sha256-0").expanduser())
    for path, says in ((mine, "was not downloaded by chatterm"), (cached, "hf cache"), (blob, "ollama rm")):
        assert not is_ours(path)
        with pytest.raises(UserError, match=says):
            remove(path, really=True)
        assert path.exists()


def test_a_file_put_in_place_of_a_deleted_folder_is_no_download(hub, models, put_gguf):
    path = fetch(TINY)
    remove(path, really=True)
    put_gguf(path / "mine.gguf")
    assert not is_ours(path) and not is_ours(path / "mine.gguf")


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../../outside"},
        {"path": "/etc"},
        {"files": [{"name": "../../../outside", "size": 1, "checksums": []}]},
        {"files": [{"name": "", "size": 1, "checksums": []}]},
        {"files": 7},
    ],
    ids=["path out", "absolute", "name out", "no name", "no files"],
)
def test_a_forged_receipt_leads_nowhere(hub, models, tmp_path, change):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    path = fetch(TINY)
    (file,) = (models / ".receipts").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert receipt_of(models, path) is None and receipts(models) == {}
    with pytest.raises(UserError):
        remove(path, really=True)
    assert outside.exists() and path.exists()


def test_a_copy_of_the_default_model_from_before_there_were_receipts(models, default_model_path):
    models.mkdir()
    path = models / "SmolLM2-135M-Instruct.Q4_1.gguf"
    os.link(default_model_path, path)
    assert is_ours(path)
    assert remove(path, really=True).size == 0, "the other link keeps the content"
    assert default_model_path.exists() and not path.exists()


# --- paused ---------------------------------------------------------------------------------------------


def broken_off(hub, name=TINY, after=400_000):
    hub.cut_after = [after, 0, 0]
    with pytest.raises(HubError):
        fetch(name, timeouts=HURRIED)
    hub.cut_after = []


def test_a_broken_download_is_listed_and_goes_on_by_its_name(hub, models):
    broken_off(hub)
    (paused,) = unfinished(models)
    total = sum(len(hub.repositories[TINY][name]) for name in
                ("LICENSE", "config.json", "generation_config.json", "model.safetensors",
                 "tokenizer.json", "tokenizer_config.json"))  # fmt: skip
    assert (paused.name, paused.total, paused.is_running) == (TINY, total, False)
    assert 400_000 <= paused.done < total
    fetch(paused.name)
    assert unfinished(models) == []
    assert hub.requests_for("model.safetensors")[-1].range == "bytes=400000-"


def test_two_files_of_one_repository_wait_for_each_other_in_places_of_their_own(quantised, models):
    broken_off(quantised, "organisation/tiny-GGUF:Q4_K_M", 70_000)
    fetch("organisation/tiny-GGUF:Q8_0")
    (paused,) = unfinished(models)
    assert (paused.name, paused.done, paused.total) == ("organisation/tiny-GGUF:Q4_K_M", 70_000, 100_000)


def test_a_download_that_runs_elsewhere_is_said_to_run_and_not_discarded(hub, models, monkeypatch):
    broken_off(hub)
    (paused,) = unfinished(models)
    with FileLock(models / ".unfinished" / f"{paused.key}.lock"):
        assert unfinished(models)[0].is_running
    assert not unfinished(models)[0].is_running


def test_a_download_that_never_began_leaves_nothing(hub, models):
    hub.refusals["resolve"] = (401, "GatedRepo")
    with pytest.raises(HubError, match="accept its licence"):
        fetch(TINY)
    assert unfinished(models) == [] and left(models) == []


def test_discarding_takes_all_of_it_away(hub, models):
    broken_off(hub)
    (paused,) = unfinished(models)
    assert discard(models, paused.key) == paused.done
    assert unfinished(models) == [] and left(models) == []


@pytest.mark.parametrize("key", ["", "..", "../..", "nothing", "organisation/tiny"])
def test_nothing_else_can_be_discarded(hub, models, key):
    broken_off(hub)
    with pytest.raises(UserError, match="no unfinished download"):
        discard(models, key)
    assert len(unfinished(models)) == 1


def test_leftovers_that_nobody_noted_can_only_be_discarded(hub, models):
    folder = models / ".unfinished" / "organisation--other"
    folder.mkdir(parents=True)
    (folder / "model.safetensors.part").write_bytes(bytes(10))
    (folder.parent / "damaged.json").write_text("{")
    (found,) = unfinished(models)
    assert (found.name, found.done, found.total) == ("", 10, None)
    assert discard(models, found.key) == 10

"""The model picker: filtering, the hub, what is said before a download, and what can be done afterwards."""

from __future__ import annotations

import asyncio

import pytest
from picking import choose, open_picker, open_repository, search, toasts
from scripted_supply import CHOICES
from textual.widgets import Input

from chatterm.records.supply import HubRepository
from chatterm.tui.dialogs.acts import ActsScreen
from chatterm.tui.dialogs.picker import PickerScreen
from chatterm.tui.dialogs.repository import RepositoryScreen

# --- filtering ------------------------------------------------------------------------------------------


async def test_typing_filters_what_is_here_and_the_catalog(chat):
    async with chat(size=(120, 60)) as it:
        await open_picker(it)
        await it.press(*"qwen")
        assert "Scripted-1B" in it.text() and "Qwen3 0.6B" in it.text()
        assert "Scripted-70B" not in it.text() and "Llama" not in it.text()
        await it.press("backspace", "backspace", "backspace", "backspace", *"70b ollama")
        assert "Scripted-70B" in it.text() and "Scripted-1B" not in it.text()
        await it.press("escape")
        assert it.app.screen.query_one(Input).value == "" and "Scripted-1B" in it.text()
        await it.press("escape")
        assert it.app.screen is it.app.chat


async def test_typing_asks_nobody_and_enter_loads_what_is_highlighted(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"scripted-1b", "enter")
        await it.until(lambda: it.session.info is not None and it.session.info.name == "Scripted-1B")
        assert knobs.searched == []


@pytest.mark.parametrize(
    ("typed", "loads"), [("scripted-1b", True), ("sea", False), ("sm", False), ("", True)]
)
async def test_a_quick_enter_loads_what_is_here_and_sends_nothing_out_before_one_has_seen_it(
    chat, knobs, typed, loads
):
    async with chat() as it:
        await it.ready()
        before = it.session.info.path
        knobs.discover_gate = asyncio.Event()
        await it.press("f3", *typed, "enter")
        await it.pilot.pause()
        assert isinstance(it.app.screen, PickerScreen) and knobs.searched == []
        knobs.discover_gate.set()
        if loads:
            await it.until(lambda: it.app.screen is it.app.chat)
        else:
            await it.until(lambda: "Looking for models" not in it.text())
            assert isinstance(it.app.screen, PickerScreen)
        if typed == "scripted-1b":
            await it.until(lambda: it.session.info is not None and it.session.info.path != before)
        assert knobs.searched == []


async def test_nothing_here_leads_to_the_hub(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"sea", "enter")
        await it.until(lambda: "people/Sea-1B-GGUF" in it.text())
        assert knobs.searched == ["sea"]


# --- the hub --------------------------------------------------------------------------------------------


async def test_a_search_shows_downloads_likes_licence_and_date(chat):
    async with chat() as it:
        await search(it)
        text = it.text()
        assert "↓12.4k ♥310" in text
        assert "GGUF · 1.2B · llama · apache-2.0 · 2025-03-01" in text
        await choose(it, "more from the hub")
        await it.until(lambda: "people/Sea-old" in it.text())
        assert "licence not stated · 2023-01-01" in it.text()
        assert "more from the hub" not in it.text(), "that was all"
        await it.press("x")
        assert "people/Sea-1B-GGUF" not in it.text(), "other words are another search"


async def test_offline_is_one_sentence_and_everything_here_still_works(chat, knobs):
    knobs.hub_error = "hub.example cannot be reached: its name cannot be looked up; try again later."
    async with chat() as it:
        await search(it)
        assert "hub.example cannot be reached" in it.text()
        await it.press("escape")
        await it.until(lambda: "Scripted-1B" in it.text())
        await choose(it, "Scripted-1B")
        await it.until(lambda: it.session.info is not None and it.session.info.name == "Scripted-1B")


async def test_a_search_that_takes_long_blocks_nothing(chat, knobs):
    knobs.hub_gate = asyncio.Event()
    async with chat() as it:
        await open_picker(it)
        await it.press(*"sea", "tab")
        await it.until(lambda: "Asking the hub" in it.text())
        await it.press("enter")
        assert isinstance(it.app.screen, PickerScreen), "Enter waits for what was asked for"
        await it.press("escape", "escape")
        assert it.app.screen is it.app.chat


async def test_an_id_opens_its_repository_and_a_slow_hub_can_be_left(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"people/Sea-1B-GGUF")
        await choose(it, "Open people/Sea-1B-GGUF")
        await it.until(lambda: "Sea-1B-Q8_0.gguf" in it.text())
        assert isinstance(it.app.screen, RepositoryScreen)
        knobs.hub_gate = asyncio.Event()
        await it.press("escape")
        await choose(it, "Open people/Sea-1B-GGUF")
        await it.until(lambda: "Asking the hub" in it.text())
        await it.press("escape")
        await it.until(lambda: isinstance(it.app.screen, PickerScreen))


async def test_foreign_names_are_inert(chat, knobs):
    evil = HubRepository("people/ok", ("gguf",), licence="[bold]no[/] \x1b[31m", family="\x9b31m")
    knobs.repositories = (evil,)
    async with chat() as it:
        await search(it, "ok")
        assert "[bold]no[/]" in it.text()
        assert "\x1b" not in it.text() and "\x9b" not in it.text()
        await it.press("enter")
        await it.until(lambda: "Q8_0" in it.text())
        assert "\x1b" not in it.text() and "[bold]no[/]" in it.text()


# --- before a download ----------------------------------------------------------------------------------


async def test_size_bits_memory_and_speed_of_each_file(chat):
    async with chat() as it:
        await open_repository(it)
        text = it.text()
        assert "Q4_K_M · 4.8 bits a weight · fits (1.3 GB) · up to 5.8 tok/s" in text
        assert "F16 · 16 bits a weight · 2 files" in text
        assert "each token reads 720 MB, this machine reads 4.2 GB/s" in text


async def test_nothing_is_fetched_before_size_and_licence_were_seen(chat, knobs):
    async with chat() as it:
        await open_repository(it)
        await it.press("enter")
        assert isinstance(it.app.screen, ActsScreen)
        text = it.text()
        assert "720 MB · 4.8 bits a weight" in text and "apache-2.0" in text
        assert "/home/me/models" in text and "52.0 GB" in text
        await it.press("escape")
        assert it.session.downloads.all == []
        await it.press("enter", "enter")
        await it.until(lambda: it.session.downloads.all != [])
        assert it.session.downloads.all[0].name == CHOICES[0].name


@pytest.mark.parametrize(
    ("has_token", "says"), [(False, "or set HF_TOKEN"), (True, "first: at https://hub.example")]
)
async def test_a_gated_repository_says_what_to_do_first(chat, knobs, has_token, says):
    knobs.has_token = has_token
    knobs.repositories = knobs.repositories[1:]
    async with chat() as it:
        await search(it, "海")
        await it.press("enter")
        await it.until(lambda: "Q8_0" in it.text())
        assert "Its licence has to be accepted first" in it.text()
        assert says in " ".join(it.text().replace("│", " ").split())


async def test_the_hub_is_asked_again_about_a_repository(chat, knobs):
    async with chat(size=(120, 36)) as it:
        await search(it)
        await it.until(lambda: "people/Sea-1B-GGUF" in it.text())
        knobs.hub_error = "hub.example cannot be reached; try again later."
        await choose(it, "people/Sea-1B-GGUF")
        await it.until(lambda: "cannot be reached" in it.text() and "r asks again." in it.text())
        knobs.hub_error = None
        await it.press("r")
        await it.until(lambda: "Q8_0" in it.text())


@pytest.mark.parametrize(
    ("reason", "says"), [("unmeasured", "measured when a model is first loaded"), ("gpu", "there is a GPU")]
)
async def test_no_measurement_no_estimate_but_the_reason(chat, knobs, reason, says):
    knobs.bytes_per_second, knobs.no_speed = None, reason
    async with chat() as it:
        await open_picker(it)
        assert "up to" not in it.text()
        assert says in " ".join(it.text().replace("│", " ").split())


# --- downloads ------------------------------------------------------------------------------------------


# --- what is here ---------------------------------------------------------------------------------------


async def test_verify_says_what_it_found(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press("f2")
        await choose(it, "Verify its files")
        await it.until(lambda: "Scripted-1B is whole: 1 file (98 MB)" in toasts(it))
        knobs.damage = ("model.safetensors has other content than was announced.",)
        await it.press("f2")
        await choose(it, "Verify its files")
        await it.until(lambda: "has other content" in toasts(it))


async def test_deleting_asks_with_a_figure_first(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press("end", "delete")
        await it.until(lambda: "frees" in it.text())
        assert "98 MB · 1 file" in it.text()
        await it.press("enter")
        assert knobs.deleted == [], "Enter keeps it"
        await it.press("delete")
        await it.until(lambda: "frees" in it.text())
        await choose(it, "Delete it")
        await it.until(lambda: "98 MB are free again" in toasts(it))
        assert knobs.deleted == ["/models/Scripted-1B.gguf"]
        await it.until(lambda: "Scripted-1B" not in it.text())


async def test_the_delete_key_edits_what_was_typed_where_the_cursor_is_in_it(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"scripted", "home", "delete")
        assert it.app.screen.query_one(Input).value == "cripted"
        assert isinstance(it.app.screen, PickerScreen)


async def test_what_chatterm_did_not_download_is_refused_with_the_reason(chat, knobs):
    knobs.delete_error = "Scripted-1B lies in the Hugging Face cache; delete it with `hf cache delete`."
    async with chat() as it:
        await open_picker(it)
        await it.press("f2")
        assert "chatterm did not download it" in it.text() and "Delete it" not in it.text()
        await it.press("escape", "delete")
        await it.until(lambda: "hf cache delete" in toasts(it))


async def test_unload_and_load_again(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"135m", "delete")
        await it.until(lambda: "unload it first" in toasts(it))
        await it.press("f2")
        await choose(it, "Unload it")
        await it.until(lambda: it.session.info is None and not it.session.host.is_busy)
        await it.press("escape", "escape")
        await it.until(lambda: "F3 loads one again" in it.text())
        await it.say("anybody there?")
        await it.press("f3")
        await it.until(lambda: "Scripted-135M" in it.text())
        await it.press(*"135m", "enter")
        await it.until(lambda: it.session.last_reply is not None and it.session.live is None)


async def test_a_catalog_entry_shows_licence_and_size_first(chat, knobs):
    async with chat() as it:
        await open_picker(it)
        await it.press(*"qwen3-0.6b")
        await it.until(lambda: "Qwen3 0.6B" in it.text())
        await choose(it, "Qwen3 0.6B")
        assert "Apache-2.0" in it.text() and "https://huggingface.co/Qwen/Qwen3-0.6B" in it.text()
        await choose(it, "Download; go on")
        await it.until(lambda: bool(it.session.downloads.find("Qwen/Qwen3-0.6B")))

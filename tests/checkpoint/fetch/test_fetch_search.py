"""Searching the hub and looking at what a repository offers, against a hub on this machine."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterm.checkpoint.fetch import HubError, Timeouts
from chatterm.checkpoint.fetch.choices import look
from chatterm.checkpoint.fetch.repository import LONGEST, facts_of
from chatterm.checkpoint.fetch.search import PAGE, search
from chatterm.checkpoint.memory import RUNTIME_BYTES
from chatterm.errors import UserError
from tests.checkpoint.fetch.fetching import TINY


def names(page):
    return [facts.repository for facts in page.repositories]


@pytest.fixture
def many(hub):
    """More repositories than a page holds, in both formats."""
    for number in range(PAGE + 5):
        name = f"people/model-{number}-GGUF"
        hub.repositories[name] = {f"model-{number}-Q4_0.gguf": b"GGUF"}
        hub.facts[name] = {"downloads": number * 100, "likes": number, "cardData": {"license": "mit"}}
    hub.repositories["people/model-safe"] = {"model.safetensors": b"x", "config.json": b"{}"}
    hub.facts["people/model-safe"] = {
        "downloads": 10**6,
        "gated": "manual",
        "config": {"model_type": "llama"},
    }
    return hub


def test_both_formats_the_most_downloaded_first(many):
    page = search("model")
    assert names(page)[:2] == ["people/model-safe", f"people/model-{PAGE + 4}-GGUF"]
    assert page.repositories[0].formats == ("safetensors",)
    assert page.repositories[0].gated and page.repositories[0].family == "llama"
    facts = page.repositories[1]
    assert (facts.formats, facts.downloads, facts.likes) == (("gguf",), (PAGE + 4) * 100, PAGE + 4)
    assert (facts.licence, facts.modified, facts.gated) == ("mit", "2025-03-01", False)


def test_the_next_page_holds_the_rest_and_is_asked_of_the_same_hub(many):
    first = search("model")
    assert first.more is not None and set(first.more) == {"gguf"}
    second = search("model", more=first.more)
    assert second.more is None
    assert len(names(first)) == PAGE + 1 and len(names(second)) == 5
    assert not set(names(first)) & set(names(second))


def test_one_format(many):
    assert names(search("model", ("safetensors",))) == ["people/model-safe"]


def test_words_and_ids(many):
    assert names(search("safe model")) == ["people/model-safe"]
    assert names(search(" organisation/tiny ")) == [TINY]
    assert names(search("nothing like this")) == []


def test_no_words(hub):
    with pytest.raises(UserError, match="Say what to search"):
        search("  ")
    assert not hub.queries


def test_nobody_there_is_one_sentence_at_once(models, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"127\.0\.0\.1 cannot be reached: it refuses connections"):
        search("model")


def test_a_hub_that_does_not_answer_is_not_waited_for(hub):
    hub.listing_stalls = True
    with pytest.raises(HubError, match="does not answer"):
        search("model", timeouts=Timeouts(connect=0.2))


def test_offline_means_offline(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for ask in (lambda: search("model"), lambda: look(TINY, True)):
        with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
            ask()
    assert hub.asked == []


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b"{}", b'{"error": 1}', b"[" * 100_000, b""])
def test_an_answer_that_is_none(hub, answer):
    hub.raw_search = answer
    with pytest.raises(HubError, match="makes no sense"):
        search("model")


def test_foreign_texts_are_inert_and_short(hub):
    hub.facts[TINY] = {
        "cardData": {"license": "other", "license_name": "\x1b]0;owned\x07[red]" + "x" * 999},
        "lastModified": "\x1b[31m-03-01",
        "downloads": -3,
        "likes": "many",
        "gguf": {"architecture": "\x9b31m", "total": 1e9},
        "pipeline_tag": ["no text"],
    }
    (facts,) = search("tiny").repositories
    assert "\x1b" not in facts.licence and "\x07" not in facts.licence and len(facts.licence) <= LONGEST
    assert (facts.modified, facts.downloads, facts.likes, facts.parameters) == ("", None, None, None)


def test_entries_that_could_not_be_fetched_from_are_left_out(hub):
    entries = [{"id": "../../etc"}, {"id": "a/b:c"}, {"id": 7}, 7, None, {}, {"id": "a/b", "tags": ["gguf"]}]
    hub.raw_search = json.dumps(entries).encode()
    assert names(search("x")) == ["a/b"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KEYS = ("tags", "cardData", "gguf", "safetensors", "config", "downloads", "gated", "lastModified", "license")


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_answer_is_too_odd(raw):
    facts = facts_of({"id": "a/b", **raw})
    assert facts is not None
    assert all(
        text.isprintable() for text in (facts.licence, facts.family, facts.modified, facts.licence_url)
    )


# --- what a repository offers ---------------------------------------------------------------------------


@pytest.fixture
def offered(hub, put_gguf, put_checkpoint, tmp_path):
    """One repository with a safetensors checkpoint and GGUF files, one of them in two parts."""
    small = put_gguf(tmp_path / "made.gguf").read_bytes()
    folder = put_checkpoint(tmp_path / "made")
    hub.repositories["people/both"] = {
        **{file.name: file.read_bytes() for file in folder.iterdir()},
        "both-Q4_K_M.gguf": small,
        "both-Q8_0.gguf": small + bytes(90_000),
        "F16/both-F16-00001-of-00002.gguf": small + bytes(100_000),
        "F16/both-F16-00002-of-00002.gguf": bytes(100_000),
        "broken-00001-of-00003.gguf": small,
        "mmproj-both-F16.gguf": small,
        "README.md": b"",
    }
    hub.facts["people/both"] = {
        "cardData": {"license": "apache-2.0", "license_link": "https://example.org/licence"},
        "gguf": {"architecture": "llama", "total": len(small)},
    }
    return hub


def test_every_checkpoint_of_a_repository(offered):
    offer = look("people/both", True)
    size = len(offered.repositories["people/both"]["both-Q4_K_M.gguf"])
    assert [(choice.name, choice.files) for choice in offer.choices] == [
        ("people/both", 3),
        ("people/both:Q4_K_M", 1),
        ("people/both:Q8_0", 1),
        ("people/both:F16", 2),
    ]
    assert [choice.size for choice in offer.choices[1:]] == [size, size + 90_000, size + 200_000]
    assert offer.choices[1].bits == pytest.approx(8.0), (
        "bytes of the file, over the weights that the hub counts"
    )
    assert (offer.facts.licence, offer.facts.licence_url) == ("apache-2.0", "https://example.org/licence")
    assert not offer.has_token and offer.page.endswith("/people/both")


def test_what_it_takes_to_run_is_known_before_it_is_fetched(offered, models):
    safetensors, gguf = look("people/both", True).choices[:2]
    for choice in (safetensors, gguf):
        assert choice.memory is not None and choice.step_bytes is not None
        assert choice.memory > RUNTIME_BYTES + choice.step_bytes
    assert gguf.memory < RUNTIME_BYTES + gguf.size + (1 << 20), "one block of 16 elements takes little"
    assert not models.exists()
    weights = [asked for asked in offered.asked if asked.path.endswith((".gguf", ".safetensors"))]
    assert [asked.range for asked in weights if asked.server == "hub"] == ["bytes=0-65535"]


def test_every_name_that_is_offered_can_be_fetched(offered, models):
    from chatterm.checkpoint.fetch import fetch

    for choice in look("people/both", True).choices:
        path = fetch(choice.name)
        assert path.exists() and path.is_relative_to(models / "people" / "both")


def test_names_are_unique_where_quantisations_are_not(hub):
    hub.repositories["people/two"] = {
        f"{folder}{model}-Q4_0.gguf": b"GGUF" for folder, model in (("", "a"), ("", "b"), ("old/", "b"))
    }
    choices = {choice.name: choice.problem for choice in look("people/two", True).choices}
    assert list(choices) == ["people/two:a-Q4_0", "people/two:b-Q4_0.gguf", "people/two:old/b-Q4_0.gguf"]
    assert [bool(problem) for problem in choices.values()] == [False, False, True]
    assert "is called the same" in choices["people/two:old/b-Q4_0.gguf"]


def test_what_would_not_load_says_so_before_it_is_fetched(hub, put_gguf, tmp_path):
    content = put_gguf(tmp_path / "made.gguf").read_bytes().replace(b"llama", b"mamba")
    hub.repositories["people/mamba"] = {"mamba-Q4_0.gguf": content}
    hub.repositories["people/moe"] = {
        "config.json": b'{"model_type": "mixtral", "num_local_experts": 8}',
        "model.safetensors": b"x",
        "tokenizer.json": b"{}",
    }
    assert "a state-space or recurrent model" in look("people/mamba", True).choices[0].problem
    assert "a mixture of experts" in look("people/moe", True).choices[0].problem


def test_heads_that_are_no_gguf_only_leave_the_estimate_out(hub):
    hub.repositories["people/odd"] = {"odd-Q4_0.gguf": b"not a GGUF file at all", "mini-Q8_0.gguf": b"GGUF"}
    choices = look("people/odd", True).choices
    assert [choice.memory for choice in choices] == [None, None]
    assert [choice.bits for choice in choices] == [8.0, 4.0]


def test_a_gated_repository_can_be_looked_at_without_its_files(offered):
    offered.facts["people/both"]["gated"] = "auto"
    offered.refusals["resolve"] = (401, "GatedRepo")
    offer = look("people/both", True)
    assert offer.facts.gated and offer.choices[0].size > 0
    assert {choice.memory for choice in offer.choices} == {None}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pytorch_model.bin": b"pickle"}, "can run code"),
        ({"README.md": b""}, "no language model"),
    ],
)
def test_a_repository_with_nothing_that_loads(hub, files, says):
    hub.repositories["people/none"] = files
    with pytest.raises(HubError, match=says):
        look("people/none", True)


def test_a_repository_that_is_not_there(hub):
    with pytest.raises(HubError, match="There is no people/nobody"):
        look("people/nobody", True)


def test_a_head_cut_off_anywhere_is_as_much_as_it_holds(put_gguf, tmp_path):
    from chatterm.checkpoint.gguf import peek, read_gguf

    path = put_gguf(tmp_path / "made.gguf")
    whole, content = read_gguf(path).metadata, path.read_bytes()
    assert peek(content, "made").items() <= whole.items()
    seen = 0
    for end in range(300, 2000, 7):
        part = peek(content[:end], "made")
        assert part.items() <= whole.items()
        assert len(part) >= seen
        seen = len(part)
    assert seen == len(whole)

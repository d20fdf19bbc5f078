"""Asking for the open panel: one question at a time, none for closed ones, gently while a reply grows."""

from __future__ import annotations

import asyncio

from chatterm.chat.inspection import FOLLOW_REST, FOLLOW_SECONDS, Answers, Inspecting, Scene
from chatterm.engine.protocol import EngineError
from chatterm.records.inspection import Analogy, Neighbours


class Asked:
    """An engine that answers when it is let."""

    def __init__(self) -> None:
        self.questions: list[object] = []
        self.open = 0
        self.most_open = 0
        self.go = asyncio.Event()
        self.go.set()
        self.refuses: object = None

    async def inspect(self, question):
        self.questions.append(question)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await self.go.wait()
        self.open -= 1
        if question == self.refuses:
            raise EngineError("That cannot be answered.")
        return f"answer to {question.word}"


class View:
    def __init__(self, *words: str) -> None:
        self.words = words
        self.seen: list[dict[str, object]] = []
        self.troubles: list[str] = []

    def questions(self, scene, answers):
        return [Neighbours(word) for word in self.words]

    def show(self, scene, answers: Answers) -> None:
        self.seen.append({word: answers.get(Neighbours(word)) for word in self.words})
        self.troubles = [answers.trouble(Neighbours(word)) for word in self.words]

    def wait(self, waiting: bool) -> None:
        pass


class House:
    """The parts around an `Inspecting`."""

    def __init__(self, *words: str) -> None:
        self.engine = Asked()
        self.view: View | None = View(*words)
        self.follows = False
        self.now = 100.0
        self.tasks: list[asyncio.Task[None]] = []
        self.inspecting = Inspecting(
            lambda: self.engine,
            self.scene,
            lambda: self.view,
            lambda: self.follows,
            lambda work: self.tasks.append(asyncio.ensure_future(work)),
            lambda: self.now,
        )

    async def scene(self) -> Scene:
        return Scene()

    async def settle(self) -> None:
        while any(not task.done() for task in self.tasks):
            await asyncio.gather(*self.tasks)


async def test_everything_the_open_view_needs_is_asked_once_and_one_at_a_time():
    house = House("sea", "sky", "moon")
    house.inspecting.look()
    house.inspecting.look()
    await house.settle()
    assert house.engine.questions == [Neighbours("sea"), Neighbours("sky"), Neighbours("moon")]
    assert house.engine.most_open == 1
    assert house.view.seen[-1] == {word: f"answer to {word}" for word in ("sea", "sky", "moon")}
    house.inspecting.look()
    await house.settle()
    assert len(house.engine.questions) == 3, "what is known is not asked again"


async def test_a_closed_panel_asks_nothing():
    house = House("sea")
    house.view = None
    house.inspecting.look()
    house.follows = True
    house.inspecting.follow()
    await house.settle()
    assert house.engine.questions == []


async def test_a_wish_that_is_no_longer_wanted_is_not_asked():
    house = House("sea", "sky")
    house.engine.go.clear()
    house.inspecting.look()
    await asyncio.sleep(0)
    house.view.words = ("moon",)
    house.inspecting.look()
    house.engine.go.set()
    await house.settle()
    assert house.engine.questions in ([Neighbours("sea"), Neighbours("moon")], [Neighbours("moon")])
    assert house.view.seen[-1] == {"moon": "answer to moon"}


async def test_a_refusal_is_shown_and_tried_again_only_when_the_user_looks_again():
    house = House("sea")
    house.engine.refuses = Neighbours("sea")
    house.inspecting.look()
    await house.settle()
    assert house.view.troubles == ["That cannot be answered."]
    house.engine.refuses = None
    house.inspecting.look()
    await house.settle()
    assert house.view.seen[-1] == {"sea": "answer to sea"}


async def test_a_growing_reply_is_followed_gently():
    house = House("sea")
    house.follows = True

    async def slow(question):
        house.engine.questions.append(question)
        house.now += 0.5
        return "answer"

    house.engine.inspect = slow
    house.inspecting.follow()
    await house.settle()
    assert len(house.engine.questions) == 1
    for step in range(int(0.5 * FOLLOW_REST) - 1):
        house.now += 1
        house.inspecting.answers.forget()
        house.inspecting.follow()
        await house.settle()
        assert len(house.engine.questions) == 1, f"it rests longer than {step} s after looking for 0.5 s"
    house.now += FOLLOW_SECONDS + 1
    house.inspecting.follow()
    await house.settle()
    assert len(house.engine.questions) == 2


async def test_answers_of_another_engine_are_forgotten():
    house = House("sea")
    house.inspecting.look()
    await house.settle()
    house.engine = Asked()
    house.inspecting.look()
    await house.settle()
    assert house.engine.questions == [Neighbours("sea")]


def test_old_answers_make_room():
    answers = Answers()
    for number in range(200):
        answers.keep(Analogy("a", "b", str(number)), number)
    assert answers.get(Analogy("a", "b", "0")) is None
    assert answers.get(Analogy("a", "b", "199")) == 199

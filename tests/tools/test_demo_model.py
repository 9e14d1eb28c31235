"""The demo model's training text: sound stories, right answers, one text per seed."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from itertools import islice
from random import Random

import pytest
from demo_model import world
from demo_model.corpus import documents
from demo_model.instructions import KINDS, Task
from demo_model.instructions.calendar import DAYS, MONTHS
from demo_model.instructions.geography import CAPITALS
from demo_model.instructions.passages import exercise
from demo_model.stories import requested_story, story

NAMES = {*world.GIRLS, *world.BOYS, *world.ANIMAL_NAMES}


def many(kind: str, count: int = 300) -> list[Task]:
    rng = Random(kind)
    return [KINDS[kind](rng) for _ in range(count)]


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


class TestStories:
    def test_stories_hardly_ever_repeat(self) -> None:
        # Of N equally likely stories, n draws repeat n * n / 2 N times: if there were
        # only ten million, 20,000 draws would repeat 20 times.
        rng = Random(1)
        drawn = [story(rng) for _ in range(20_000)]
        assert len(drawn) - len(set(drawn)) < 3

    def test_stories_are_about_one_or_two_people(self) -> None:
        rng = Random(2)
        for _ in range(1000):
            text = story(rng)
            assert 1 <= len(NAMES & set(re.findall(r"[A-Z]\w+", text))) <= 2, text

    def test_stories_are_whole_sentences(self) -> None:
        rng = Random(3)
        for _ in range(1000):
            text = story(rng)
            assert not re.search(
                r"[{}]|  |\ba [aeiou]|\ban [^aeiouh]|[.!?] [a-z]", text
            )
            assert all(line.endswith((".", "!", '"')) for line in text.splitlines())

    def test_requested_stories_are_about_the_requested_person(self) -> None:
        rng = Random(4)
        for _ in range(300):
            request, text = requested_story(rng)
            asked = NAMES & set(re.findall(r"\w+", request))
            assert not asked or asked & set(re.findall(r"\w+", text))


class TestAnswers:
    def test_sums_are_right(self) -> None:
        for task in many("sum"):
            assert sum(numbers(task.instruction)) == int(task.answer)

    def test_differences_are_right(self) -> None:
        for task in many("difference"):
            a, b = numbers(task.instruction)
            if task.instruction.startswith("Subtract"):
                a, b = b, a
            assert a - b == int(task.answer)

    def test_comparisons_are_right(self) -> None:
        for task in many("comparing"):
            small = "smallest" in task.instruction or "smaller" in task.instruction
            pick = min if small else max
            assert pick(numbers(task.instruction)) == int(task.answer)

    def test_sorted_numbers_are_right(self) -> None:
        for task in many("sorting"):
            down = re.search("descending|largest to", task.instruction) is not None
            wanted = sorted(numbers(task.instruction), reverse=down)
            assert numbers(task.answer) == wanted

    def test_spelled_reversed_and_counted_letters_are_right(self) -> None:
        for task in many("spelling"):
            assert task.answer.replace("-", "") in task.instruction
        for task in many("reversing"):
            assert task.answer[::-1] in task.instruction
        for task in many("counting letters"):
            words = re.findall(r"\w{3,}", task.instruction)
            assert 0 <= int(task.answer) <= len(max(words, key=len))

    def test_answers_about_the_calendar_are_days_months_or_lengths(self) -> None:
        known = {*DAYS, *MONTHS, "28", "30", "31"}
        assert {task.answer for task in many("calendar")} <= known

    def test_capitals_belong_to_their_countries(self) -> None:
        for task in many("capital"):
            pair = {task.answer} | {
                name
                for name in (*CAPITALS, *CAPITALS.values())
                if re.search(rf"\b{name}\b", task.instruction)
            }
            assert any({country, city} <= pair for country, city in CAPITALS.items())

    def test_answers_about_a_passage_use_its_words(self) -> None:
        for task in many("passage"):
            passage = set(re.findall(r"\w+", task.instruction.lower()))
            asked = {"the", "one", "is", "gave", "met", "went", "belongs", "to"}
            assert set(re.findall(r"\w+", task.answer.lower())) <= passage | asked

    def test_answers_of_an_exercise_are_sentences_of_its_passage(self) -> None:
        rng = Random(5)
        for _ in range(300):
            passage, asked = exercise(rng)
            people = NAMES & set(re.findall(r"\w+", passage))
            assert 2 <= len(people) <= 6
            assert len(dict(asked)) == len(asked) >= 2 * len(people)
            for question, answer in asked:
                words = set(re.findall(r"\w+", answer.lower()))
                added = {"the", "one", "belongs", "to", "who", "is"}
                about = NAMES & set(re.findall(r"\w+", question + answer))
                said = [
                    each for each in passage.split(". ") if about <= set(each.split())
                ]
                assert any(
                    words <= set(re.findall(r"\w+", each.lower())) | added
                    for each in said
                )

    def test_answers_in_python_run(self) -> None:
        for task in many("python", 1000):
            compile(task.answer, "<answer>", "exec")
            bounds = re.search(
                r"the numbers (?:from )?(\d+) to (\d+)", task.instruction
            )
            if bounds is not None:
                with redirect_stdout(io.StringIO()) as printed:
                    exec(task.answer, {})
                first, last = map(int, bounds.groups())
                assert numbers(printed.getvalue()) == list(range(first, last + 1))

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_instruction_has_only_one_answer(self, kind: str) -> None:
        seen: dict[str, str] = {}
        for task in many(kind, 2000):
            assert seen.setdefault(task.instruction, task.answer) == task.answer


def test_a_seed_determines_the_corpus() -> None:
    first, again = (list(islice(documents(5), 200)) for _ in range(2))
    assert first == again
    assert first != list(islice(documents(6), 200))

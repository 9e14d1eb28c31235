"""The stages a request goes through, and the ways that there are not."""

from __future__ import annotations

import pytest
from scripted import ScriptedExecutor, Vocabulary, add, request

from llamacy.generation.events import Done, Event, Progress
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.request import AnyRequest
from llamacy.generation.scheduler import Scheduler
from llamacy.generation.stages import NEXT, Stage
from llamacy.results import Piece


@pytest.fixture
def scheduler() -> Scheduler:
    executor = ScriptedExecutor({"a long prompt": Vocabulary.ids("answer")}, n_batch=8)
    return Scheduler(executor, PrefixCache(0))


def stages_of(one: AnyRequest, scheduler: Scheduler) -> list[Stage]:
    """Stages after each step, until the end."""
    stages = []
    while not one.is_settled:
        scheduler.step()
        stages.append(one.stage)
    return stages


def events_in(mailbox: ThreadMailbox[AnyRequest]) -> list[Event]:
    events = []
    while not mailbox.is_empty:
        posted = mailbox.take()
        assert posted is not None
        events.append(posted.event)
    return events


def test_a_request_is_created_waits_reads_grows_and_is_settled(
    scheduler: Scheduler,
) -> None:
    one = request("a long prompt", max_tokens=3)
    before = [one.stage, one.is_running]
    add(scheduler, one)
    before += [one.stage, one.is_running]
    assert before == [Stage.CREATED, False, Stage.WAITING, True]
    reading, growing, settled = Stage.READING, Stage.GROWING, Stage.SETTLED
    assert stages_of(one, scheduler) == [reading, growing, growing, settled]
    assert not one.is_running


def test_a_request_with_nothing_to_read_ends_as_it_is_submitted(
    scheduler: Scheduler,
) -> None:
    one = request("a long prompt", max_tokens=0)
    add(scheduler, one)
    assert one.stage is Stage.ENDED
    assert stages_of(one, scheduler) == [Stage.SETTLED]
    assert one.n_passes == 0


def test_a_request_is_parked_while_its_mailbox_is_full(scheduler: Scheduler) -> None:
    one = request("a long prompt")
    mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(n_ahead=1)
    one.submit(mailbox)
    scheduler.add([one])
    stages = []
    for _ in range(2):
        scheduler.step()
        stages.append(one.stage)
    assert not scheduler.has_work
    mailbox.take()
    scheduler.step()
    stages.append(one.stage)
    assert stages == [Stage.READING, Stage.PARKED, Stage.GROWING]
    while not mailbox.is_empty:
        mailbox.take()
        scheduler.step()
    assert one.is_settled


def test_a_parked_request_that_is_withdrawn_ends(scheduler: Scheduler) -> None:
    one = request("a long prompt")
    one.submit(ThreadMailbox(n_ahead=1))
    scheduler.add([one])
    scheduler.step()
    scheduler.step()
    assert one.stage is Stage.PARKED
    one.withdraw()
    scheduler.step()
    assert one.is_settled


def test_events_come_in_the_order_in_which_they_happen(scheduler: Scheduler) -> None:
    one = request("a long prompt")
    mailbox: ThreadMailbox[AnyRequest] = ThreadMailbox(n_ahead=100)
    one.submit(mailbox)
    scheduler.add([one])
    stages_of(one, scheduler)
    kinds = [type(event) for event in events_in(mailbox)]
    assert kinds == [Progress, Progress, *[Piece] * len("answer"), Done]


def test_room_that_is_made_leads_back_to_reading(scheduler: Scheduler) -> None:
    def make_room(generated: list[int]) -> list[int]:
        return Vocabulary.ids("another prompt")

    one = request("a long prompt", n_ctx=16, make_room=make_room, max_tokens=4)
    add(scheduler, one)
    stages = stages_of(one, scheduler)
    before = [Stage.READING, Stage.GROWING, Stage.GROWING]
    assert stages == [*before, Stage.READING, Stage.READING, Stage.SETTLED]


def test_an_error_ends_a_request_and_is_raised_once(scheduler: Scheduler) -> None:
    one = request("a long prompt")
    add(scheduler, one)
    scheduler.step()
    scheduler.abandon(ZeroDivisionError())
    assert one.is_settled
    assert one.has_failed
    with pytest.raises(ZeroDivisionError):
        one.raise_error()
    one.raise_error()
    assert one.has_failed


@pytest.mark.parametrize("stage", [Stage.CREATED, Stage.READING, Stage.SETTLED])
def test_no_request_is_settled_that_has_not_ended(stage: Stage) -> None:
    one = request("a")
    one.stage = stage
    with pytest.raises(AssertionError, match="to Stage.SETTLED"):
        one.settle()


def test_every_stage_is_reached_and_only_the_last_one_is_not_left() -> None:
    reached = {Stage.CREATED}.union(*NEXT.values())
    assert reached == set(NEXT) == set(Stage)
    assert [stage for stage in Stage if not NEXT[stage]] == [Stage.SETTLED]

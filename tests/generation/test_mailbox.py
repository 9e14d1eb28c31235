"""Mailboxes: what they hold, when they are full, who waits."""

from __future__ import annotations

import asyncio

from llamacy.generation.events import Done, Event, Progress
from llamacy.generation.mailbox import AsyncMailbox, Posted, ThreadMailbox
from llamacy.results import Piece

PIECE = Piece("text", [1])


class Sender:
    """Knows whether it was withdrawn."""

    def __init__(self) -> None:
        self.is_withdrawn = False

    def withdraw(self) -> None:
        self.is_withdrawn = True


def test_events_are_taken_in_order_with_their_sender() -> None:
    mailbox: ThreadMailbox[Sender] = ThreadMailbox(n_ahead=8)
    one, two = Sender(), Sender()
    posted = [Posted(one, Progress()), Posted(two, PIECE), Posted(one, Done())]
    for each in posted:
        mailbox.post(*each)
    assert [mailbox.take() for _ in range(3)] == posted
    assert mailbox.is_empty
    assert mailbox.take() is None


def test_a_mailbox_for_results_alone_drops_pieces_and_is_never_full() -> None:
    mailbox: ThreadMailbox[Sender] = ThreadMailbox()
    for _ in range(100):
        mailbox.post(Sender(), PIECE)
    assert mailbox.is_empty
    for _ in range(100):
        mailbox.post(Sender(), Progress())
    assert not mailbox.is_full
    assert not mailbox.made_room


def test_a_mailbox_is_full_until_something_is_taken() -> None:
    mailbox: ThreadMailbox[Sender] = ThreadMailbox(n_ahead=2)
    mailbox.post(Sender(), PIECE)
    assert not mailbox.is_full
    mailbox.post(Sender(), PIECE)
    assert mailbox.is_full
    mailbox.take()
    assert mailbox.made_room
    assert not mailbox.is_full
    mailbox.take()
    assert not mailbox.made_room


def test_a_task_takes_what_another_thread_posts() -> None:
    async def run() -> None:
        mailbox: AsyncMailbox[Sender] = AsyncMailbox(n_ahead=2)
        sender = Sender()
        events: list[Event] = [PIECE, Progress(), Done()]
        for event in events:
            await asyncio.to_thread(mailbox.post, sender, event)
        assert mailbox.is_full
        assert [await mailbox.take() for _ in events] == [
            Posted(sender, event) for event in events
        ]
        assert not mailbox.is_full

    asyncio.run(run())


def test_a_closed_event_loop_withdraws_the_sender() -> None:
    async def make() -> AsyncMailbox[Sender]:
        return AsyncMailbox()

    mailbox, sender = asyncio.run(make()), Sender()
    mailbox.post(sender, Done())
    assert sender.is_withdrawn

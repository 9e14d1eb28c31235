"""The stages of a request, and the ways from one to another."""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """How far a request has come.

    ::

        CREATED
           | submit
           v         start               take
        WAITING ------------> READING <--------> GROWING
           |                     ^                  ^
           |                     |       park       |
           |                     +----> PARKED <----+
           |                               |
           v                               v
         ENDED <--- take, cancel, fail --- any of the above
           | settle
           v
        SETTLED

    Attributes
    ----------
    CREATED
        Not submitted yet. A request with nothing to read ends as it is submitted.
    WAITING
        For a place among the active requests, or for another one to read the tokens
        that both begin with.
    READING
        Prefill: passes read its prompt, or what stands in the prompt's place after room
        was made in a full context.
    GROWING
        Decode: all its tokens but the last were read, and each pass leads to at least
        one more.
    PARKED
        In no pass until the reader of its stream takes something; back to where it was.
    ENDED
        Over, well or not; its memory goes at the end of the pass.
    SETTLED
        Its memory was given back, and its mailbox told.
    """

    CREATED = "created"
    WAITING = "waiting"
    READING = "reading"
    GROWING = "growing"
    PARKED = "parked"
    ENDED = "ended"
    SETTLED = "settled"


NEXT = {
    Stage.CREATED: {Stage.WAITING, Stage.ENDED},
    Stage.WAITING: {Stage.READING, Stage.ENDED},
    Stage.READING: {Stage.GROWING, Stage.PARKED, Stage.ENDED},
    Stage.GROWING: {Stage.READING, Stage.PARKED, Stage.ENDED},
    Stage.PARKED: {Stage.READING, Stage.GROWING, Stage.ENDED},
    Stage.ENDED: {Stage.SETTLED},
    Stage.SETTLED: set[Stage](),
}
"""The stages that may follow each."""

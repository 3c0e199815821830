"""One attempt to take a lease or to keep it, as the requests that it needs. Pure: who drives it sends them.

So electors that block, electors of event loops, and others that stand for something agree on when to read, what to
write, and what an answer means.
"""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from deltawire.client.tools.leader_election.candidate import Candidate
from deltawire.client.tools.leader_election.record import LeaseRecord
from deltawire.common.errors import DeltawireError, StatusError


@dataclass(frozen=True, slots=True)
class Held:
    """A record and the object that it stood in: an update says with its version what it replaces."""

    record: LeaseRecord
    lease: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Get:
    """Read the lease. The answer: None where there is none."""


@dataclass(frozen=True, slots=True)
class Create:
    record: LeaseRecord


@dataclass(frozen=True, slots=True)
class Update:
    """Replace what ``held`` was read from; a conflict where it is no longer the newest."""

    record: LeaseRecord
    held: Held


Step = Get | Create | Update
Steps = Generator[Step, Held | None, Held | None]


def attempt(
    candidate: Candidate,
    held: Held | None,
    now_s: Callable[[], float],
    wall_s: float,
    saw: Callable[[Held], object],
    *,
    has_ended: Callable[[str], bool] = lambda holder: False,
) -> Steps:
    """Returns the lease as written, or None while another holds it. Raises what the requests raise.

    ``held``: as it was last read or written. ``saw`` is called with what is read, before it is decided about.
    ``has_ended``: True of a holder that is known to be no more, whose lease need not run out.
    """
    if held is not None and candidate.may_renew_unseen(now_s()):
        wanted = candidate.wanted(now_s(), wall_s)
        if wanted is not None:
            try:
                return (yield Update(wanted, held))
            except StatusError:
                # Somebody else has written, or it is gone: read it.
                pass
    held = yield Get()
    if held is None:
        return (yield Create(candidate.first(wall_s)))
    saw(held)
    wanted = candidate.wanted(now_s(), wall_s, is_over=has_ended(held.record.holder))
    return None if wanted is None else (yield Update(wanted, held))


def release(
    candidate: Candidate, now_s: Callable[[], float], wall_s: Callable[[], float]
) -> Steps:
    """Let it go, where it is still this candidate's. Returns what was written; raises what the requests raise."""
    held = yield Get()
    if held is None or held.record.holder != candidate.identity:
        return None
    candidate.observe(held.record, now_s())
    released = yield Update(candidate.released(wall_s()), held)
    if released is not None:
        candidate.observe(released.record, now_s())
    return released


def drive(steps: Steps, send: Callable[[Step], Held | None]) -> Held | None:
    """Sends each step and hands the answer, or the failure, in. Returns and raises what the steps do."""
    try:
        step = next(steps)
        while True:
            try:
                answer = send(step)
            except DeltawireError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: Held | None = end.value
        return result
    finally:
        steps.close()


async def drive_async(steps: Steps, send: Callable[[Step], Awaitable[Held | None]]) -> Held | None:
    """As `drive`, awaiting each."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await send(step)
            except DeltawireError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: Held | None = end.value
        return result
    finally:
        steps.close()

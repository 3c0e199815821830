"""What can be done to a pipeline, as values. A schedule is a list of them; the log of a run repeats them."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What is done. In brackets: what ``Action.amount``, ``pick`` and ``count`` mean for it."""

    KILL = "kill"  # SIGKILL to the process `target` (which one of its kind: pick)
    STOP = "stop"  # SIGSTOP to it, SIGCONT after `amount` s
    KILL_ALL = "kill-all"  # SIGKILL to everything; up again after `amount` s
    RESTART = "restart"  # drained and started again with the shape that `target` names (pick)
    HANDLER_RESTART = "handler-restart"  # `handlers restart` of the group of one of its replicas (pick)
    SERVER_KILL = "server-kill"  # SIGKILL to the API server; started again after `amount` s
    SERVER_RESTART = "server-restart"  # SIGTERM instead
    SERVER_STOP = "server-stop"  # SIGSTOP to it for `amount` s
    COMPACT = "compact"  # the history is lost
    COMPACT_BEHIND = "compact-behind"  # reflectors are killed, then cuts and lost history: a watch meets 410
    CUT = "cut"  # open watches end
    FAULT = (
        "fault"  # `target` is the fault's kind with value `amount`, for `count` requests, cleared after 4 s
    )
    FORBID = "forbid"  # the pipeline's user loses his rights for `amount` s
    # With `engine: nats`:
    HOST_KILL = "host-kill"  # SIGKILL to all processes of a host (pick); back after `amount` s
    HOST_LOSS = "host-loss"  # and its disk is lost
    NATS_KILL = "nats-kill"  # SIGKILL to a NATS server (pick); back after `amount` s
    NATS_KILL_ALL = "nats-kill-all"  # to all of them
    NATS_STOP = "nats-stop"  # a NATS server, so its disk, stands still for `amount` s (pick)
    NATS_WIPE = "nats-wipe"  # a NATS server is killed and loses its disk (pick); back after `amount` s
    PARTITION = "partition"  # ways between the ends in `target` are as `mode` says for `amount` s (pick)


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """``at_s``: seconds after the schedule's start, at the earliest: an action waits for the one before it."""

    at_s: float
    kind: Kind
    target: str = ""
    pick: int = 0
    amount: float = 0.0
    count: int = 0
    mode: str = ""

    def __str__(self) -> str:
        parts = [f"{self.at_s:.1f}s", self.kind, self.target, self.mode]
        parts += [
            f"{name}={value:g}" for name, value in (("amount", self.amount), ("count", self.count)) if value
        ]
        return " ".join(part for part in parts if part)

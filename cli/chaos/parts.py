"""What a run needs of the pipeline that it hits, and of what hits it: on one host, or on several with NATS."""

from collections.abc import Callable, Sequence
from typing import Protocol

from deltawire.cli.chaos.actions import Action
from deltawire.cli.chaos.shape import Shape


class AnyPipeline(Protocol):
    shape: Shape

    def up(self) -> None: ...

    def kill_all(self) -> None: ...

    def drain(self, meanwhile: Callable[[], None]) -> int:
        """The exit code."""
        ...

    def is_quiet(self) -> bool:
        """Whether it says itself that all is done."""
        ...


class AnyDriver(Protocol):
    # (rule, text)
    complaints: list[tuple[str, str]]
    # Kind of an action → how often it was done.
    done: dict[str, int]

    def use(self, shape: Shape) -> None: ...

    def run(self, actions: Sequence[Action], *, until_s: float) -> None: ...

    def look_after(self) -> None: ...

    def finish(self) -> None: ...

    def leave_nothing(self) -> None: ...

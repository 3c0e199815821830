"""Which script a command, a terminal or a port of a pod has."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from deltawire.apiserver.containers.ports import Answer
from deltawire.apiserver.containers.programs import Script
from deltawire.common.errors import StatusError

# Scripts that may be set before they are cleared, of all containers, each setting counted.
SCRIPTS_MAX = 10_000


class Where(NamedTuple):
    """A container by name; "" is every namespace, every pod, every container."""

    namespace: str
    pod: str = ""
    container: str = ""


@dataclass(slots=True)
class _Container:
    exact: dict[tuple[str, ...], Script] = field(default_factory=dict)
    prefixes: dict[tuple[str, ...], Script] = field(default_factory=dict)
    attached: Script | None = None
    ports: dict[int, Answer] = field(default_factory=dict)

    def command(self, argv: tuple[str, ...]) -> Script | None:
        if argv in self.exact:
            return self.exact[argv]
        for length in range(len(argv), -1, -1):
            if argv[:length] in self.prefixes:
                return self.prefixes[argv[:length]]
        return None


class Scripts:
    """What is scripted, by name: it holds for pods that are there and for those that come.

    What is said of one container goes before what is said of its pod, that before all pods of the namespace, and that
    before all namespaces. A later script
    for the same takes the place of the earlier one. Raises StatusError 413 beyond ``SCRIPTS_MAX``.
    """

    def __init__(self) -> None:
        self._containers: dict[Where, _Container] = {}
        self._count = 0

    def command(
        self, where: Where, command: Sequence[str], script: Script, *, is_prefix: bool = False
    ) -> None:
        """``command`` is the program and its arguments; as a prefix, whatever may follow. [] as prefix is any."""
        found = self._container(where)
        (found.prefixes if is_prefix else found.exact)[tuple(command)] = script

    def attach(self, where: Where, script: Script) -> None:
        """The function that runs while a client is attached to the container."""
        self._container(where).attached = script

    def port(self, where: Where, port: int, answer: Answer) -> None:
        # A pod's containers share its ports.
        self._container(Where(where.namespace, where.pod)).ports[port] = answer

    def clear(self) -> None:
        """Forget all scripts."""
        self._containers.clear()
        self._count = 0

    def find_command(self, where: Where, argv: tuple[str, ...]) -> Script | None:
        """The script, or a program that every container has; None for a program that is not there."""
        for found in self._matching(where):
            script = found.command(argv)
            if script is not None:
                return script
        from deltawire.apiserver.containers import builtins

        return builtins.find(argv)

    def find_attach(self, where: Where) -> Script | None:
        return next((c.attached for c in self._matching(where) if c.attached is not None), None)

    def find_port(self, where: Where, port: int) -> Answer | None:
        return next((c.ports[port] for c in self._matching(where) if port in c.ports), None)

    def _matching(self, where: Where) -> list[_Container]:
        """Most specific first."""
        namespace, pod, container = where
        keys = dict.fromkeys(
            (
                where,
                Where(namespace, pod),
                Where(namespace, "", container),
                Where(namespace),
                Where("", pod, container),
                Where("", pod),
                Where("", "", container),
                Where(""),
            )
        )
        return [self._containers[key] for key in keys if key in self._containers]

    def _container(self, where: Where) -> _Container:
        """Where one more script goes."""
        if self._count >= SCRIPTS_MAX:
            told = f"{SCRIPTS_MAX} scripts have been set: clear them first"
            raise StatusError(413, "RequestEntityTooLarge", told)
        self._count += 1
        return self._containers.setdefault(where, _Container())

"""Which host has which place, as its workers say in their logs: what leads an address to one of several hosts."""

from pathlib import Path

import msgspec

SAYS = b"has the lease of "


class Holders:
    """Looks at what was added to the workers' logs since it looked last."""

    def __init__(self, folder: Path, hosts: int, places: int) -> None:
        self._logs = {(p, h): folder / f"worker-{p}@{h}.log" for p in range(places) for h in range(hosts)}
        self._read = dict.fromkeys(self._logs, 0)
        self._newest: dict[int, tuple[str, int]] = {}

    def look(self) -> dict[int, int]:
        """Place → the host that was the last to begin."""
        for (place, host), path in self._logs.items():
            for line in self._added(place, host, path):
                if SAYS in line:
                    self._newest[place] = max(self._newest.get(place, ("", 0)), (_time_of(line), host))
        return {place: host for place, (_, host) in self._newest.items()}

    def _added(self, place: int, host: int, path: Path) -> list[bytes]:
        """Whole lines only."""
        if not path.exists() or path.stat().st_size == self._read[place, host]:
            return []
        with path.open("rb") as log:
            log.seek(self._read[place, host])
            added = log.read()
        end = added.rfind(b"\n") + 1
        self._read[place, host] += end
        return added[:end].splitlines()


def _time_of(line: bytes) -> str:
    try:
        return str(msgspec.json.decode(line)["time"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""

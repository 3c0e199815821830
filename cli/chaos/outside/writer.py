"""Changes objects of an API server at random and writes down what the server answered. Ends on SIGTERM.

    python writer.py --url URL --ca FILE --token FILE --seed N --out FILE [--rate 30]

Several writers may work on the same names: conflicts are part of it. A line of the file is one accepted write:
``{"at", "verb", "resource", "key", "uid", "version", "tier"}``; ``at`` are seconds of the monotonic clock when the
answer came. Uses the standard library only.
"""

import argparse
import http.client
import json
import random
import signal
import ssl
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

RESOURCES = {"pods": 40, "configmaps": 24}
NAMESPACES = ("alpha", "beta", "gamma")
TIERS = ("web", "db")
CALM_S = (0.3, 4.0)


class Server:
    """One connection that is opened again when it broke. Raises OSError or HTTPException, as http.client does."""

    def __init__(self, url: str, ca: str, token: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=ca)
        self._token = Path(token).read_text().strip()
        self._connection: http.client.HTTPSConnection | None = None

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """The code and the decoded answer."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self._address, timeout=10, context=self._tls)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "User-Agent": "chaos-writer",
            "Content-Type": kind,
        }
        try:
            text = None if body is None else json.dumps(body)
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data.startswith(b"{") else None
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            self._connection = None
            raise


class Writer:
    """Chooses what to write next; remembers nothing of what is there."""

    def __init__(self, server: Server, seed: str, out: Path) -> None:
        self._server = server
        self._rng = random.Random(seed)
        self._out = out.open("a", buffering=1)
        self._count = 0

    def write(self) -> None:
        """One write, or a deletion with a creation of the same name right behind it."""
        rng = self._rng
        resource = rng.choice(list(RESOURCES))
        namespace, name = rng.choice(NAMESPACES), f"x{rng.randrange(RESOURCES[resource] // len(NAMESPACES))}"
        path = f"/api/v1/namespaces/{namespace}/{resource}"
        self._count += 1
        dice = rng.random()
        if dice < 0.62:
            labels = {"tier": rng.choice(TIERS)} if rng.random() < 0.1 else {}
            patch = {"metadata": {"labels": labels, "annotations": {"count": str(self._count)}}}
            found = self._do("PATCH", f"{path}/{name}", resource, patch, "application/merge-patch+json")
            if found == 404:
                self._create(path, resource, name)
        elif dice < 0.75:
            self._create(path, resource, name)
        else:
            found = self._do("DELETE", f"{path}/{name}", resource, {"gracePeriodSeconds": 0})
            if found == 200 and dice > 0.88:
                self._create(path, resource, name)

    def _create(self, path: str, resource: str, name: str) -> None:
        meta = {"name": name, "labels": {"tier": self._rng.choice(TIERS)}}
        body: dict[str, Any] = {"apiVersion": "v1", "metadata": meta}
        if resource == "pods":
            body |= {"kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}
        else:
            body |= {"kind": "ConfigMap", "data": {"text": "x" * self._rng.randrange(2000)}}
        self._do("POST", path, resource, body)

    def _do(self, verb: str, path: str, resource: str, body: Any, kind: str = "application/json") -> int:
        code, answer = self._server.ask(verb, path, body, kind)
        if code in (200, 201) and isinstance(answer, dict) and "uid" in answer.get("metadata", {}):
            meta = answer["metadata"]
            line = {
                "at": time.monotonic(), "verb": verb, "resource": resource,
                "key": f"{meta['namespace']}/{meta['name']}", "uid": meta["uid"], "version": meta["resourceVersion"],
                "tier": meta.get("labels", {}).get("tier", ""),
            }  # fmt: skip
            self._out.write(json.dumps(line) + "\n")
        return code


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "ca", "token", "seed"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=30.0, help="writes a second in the mean")
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    writer = Writer(Server(options.url, options.ca, options.token), options.seed, options.out)
    pace = random.Random(f"pace {options.seed}")
    while not stop.is_set():
        # Calm, ordinary and hurried stretches, so that rare writes and floods meet the same faults.
        factor, until = pace.choice((0.1, 1.0, 1.0, 4.0)), time.monotonic() + pace.uniform(*CALM_S)
        while time.monotonic() < until and not stop.wait(pace.expovariate(options.rate * factor)):
            try:
                writer.write()
            except (OSError, http.client.HTTPException, ValueError):
                stop.wait(0.2)


if __name__ == "__main__":
    main()

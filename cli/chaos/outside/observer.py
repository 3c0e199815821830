"""Keeps an API server's own record: each change that a plain watch shows, and the requests that it logged.

    python observer.py --url URL --ca FILE --token FILE --seen FILE --requests FILE

Lines of ``seen``: ``{"at", "type", "resource", "key", "uid", "version", "tier"}``. ``type`` is as in a watch, or LISTED
after a list: changes before it may be missing. ``requests``: the embedded server's request log, each entry
once. ``at`` are seconds of the monotonic clock. Runs until it is killed. Uses the standard library only.
"""

import argparse
import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESOURCES = ("pods", "configmaps")
AGAIN_S = 0.05
REQUESTS_EVERY_S = 0.5
# The server keeps 10,000 requests in its log; it is emptied long before.
REQUESTS_KEPT = 3000
FAILURES = (OSError, http.client.HTTPException, ValueError, KeyError)


class Server:
    """Makes connections with one identity."""

    def __init__(self, url: str, ca: str, token: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._tls = ssl.create_default_context(cafile=ca)
        self._headers = {
            "Authorization": f"Bearer {Path(token).read_text().strip()}",
            "User-Agent": "chaos-observer",
        }

    def open(self, path: str, method: str = "GET", timeout_s: float = 10.0) -> http.client.HTTPResponse:
        """The answer with its head read; its body is read by the caller. Raises ValueError unless it is a 200."""
        connection = http.client.HTTPSConnection(self._address, timeout=timeout_s, context=self._tls)
        connection.request(method, path, headers=self._headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"{path}: {answer.status}")
        return answer


class Record:
    """Appends lines to the file, from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def add(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")


class Watcher:
    """Lists one resource once and watches it from there, for ever."""

    def __init__(self, server: Server, resource: str, record: Record) -> None:
        self._server, self._resource, self._record = server, resource, record
        self._version = ""

    def run_once(self) -> None:
        """One list where nothing is known, and one watch to its end."""
        path = f"/api/v1/{self._resource}"
        if not self._version:
            listed = json.loads(self._server.open(path).read())
            for item in listed["items"]:
                self._note("LISTED", item)
            self._version = listed["metadata"]["resourceVersion"]
        watch = self._server.open(
            f"{path}?watch=1&allowWatchBookmarks=1&resourceVersion={self._version}", timeout_s=90
        )
        for line in watch:
            event = json.loads(line)
            if event["type"] == "ERROR":
                if event["object"].get("code") == 410:
                    self._version = ""
                return
            self._version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                self._note(event["type"], event["object"])

    def _note(self, kind: str, found: Any) -> None:
        meta = found["metadata"]
        self._record.add(
            {
                "at": time.monotonic(),
                "type": kind,
                "resource": self._resource,
                "key": f"{meta['namespace']}/{meta['name']}",
                "uid": meta["uid"],
                "version": meta["resourceVersion"],
                "tier": meta.get("labels", {}).get("tier", ""),
            }
        )  # fmt: skip


class Requests:
    """Reads the server's request log again and again."""

    def __init__(self, server: Server, record: Record) -> None:
        self._server, self._record = server, record
        self._known: set[tuple[Any, ...]] = set()

    def run_once(self) -> None:
        found = json.loads(self._server.open("/_deltawire/requests").read())["requests"]
        # Both clocks now, so that the server's wall-clock times can be told on the monotonic one.
        offset_s = time.monotonic() - time.time()
        now_known = set()
        for entry in found:
            mark = (entry["time"], entry["path"], entry["user_agent"], json.dumps(entry["query"]))
            now_known.add(mark)
            if mark not in self._known and entry["user_agent"].startswith("deltawire"):
                self._record.add({"at": entry["time"] + offset_s, **entry})
        self._known = now_known
        if len(found) > REQUESTS_KEPT:
            self._server.open("/_deltawire/clear", method="POST").read()
        time.sleep(REQUESTS_EVERY_S)


def _for_ever(work: Callable[[], None]) -> None:
    while True:
        try:
            work()
        except FAILURES:
            pass  # the server is away or faulty on purpose
        time.sleep(AGAIN_S)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "ca", "token"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seen", "requests"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    server = Server(options.url, options.ca, options.token)
    seen = Record(options.seen)
    works = [Watcher(server, resource, seen).run_once for resource in RESOURCES]
    works.append(Requests(server, Record(options.requests)).run_once)
    threads = [threading.Thread(target=_for_ever, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()

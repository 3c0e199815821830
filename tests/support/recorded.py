"""What a real API server (1.35) was asked and answered, asked again of another one.

``tests/vectors/apiserver/exchanges.jsonl`` has an exchange a line. Values in ``<<...>>`` are the run's own: its
namespace, its number, and what earlier answers gave.
"""

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

EXCHANGES = Path(__file__).parents[1] / "vectors" / "apiserver" / "exchanges.jsonl"
# Headers that say something beside the body.
_HEADERS = ("Warning", "Retry-After", "Allow", "Location", "Www-Authenticate")
_PLACE = re.compile(r"<<(\w+)>>")
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_IN_TEXT = re.compile(r"\b(resource version|resourceVersion)[^0-9\"]{0,12}\d+")
_IN_YAML = re.compile(r"^ *resourceVersion: \"\d+\"$", re.M)
_AGE = re.compile(r"(\d+[smhd])+")
_AGE_IN_YAML = re.compile(r"^( *- )(?:\d+[smhd])+$", re.M)
_NUMBER = re.compile(r"\d{3,}")
_SERVICE_ADDRESS = re.compile(r"10\.0\.[0-9]+\.[0-9]+")
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?", re.ASCII
)
_TIMEOUT_S = 30.0


@dataclass
class Answer:
    """``body`` is decoded JSON, text, or a watch's lines."""

    code: int
    content_type: str
    headers: dict[str, str]
    body: Any


@dataclass
class Outcome:
    """One exchange, and the lines in which the answer differed from the real one."""

    number: int
    name: str
    differences: list[str]
    body: Any = field(default=None, repr=False)

    @property
    def differs_in_code(self) -> bool:
        return any(line.startswith("code:") for line in self.differences)


def exchanges() -> list[dict[str, Any]]:
    return [json.loads(line) for line in EXCHANGES.read_text().splitlines()]


class Replay:
    """Asks everything in order.

    ``wait`` gets the seconds that the recording waited, before what needs controllers; ``pauses`` has further ones
    by the number of the exchange before which time had passed. ``context`` is that of TLS, for an https URL.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        run: str = "00417",
        controllers: bool = False,
        wait: Callable[[float], None] = lambda seconds: None,
        pauses: Mapping[int, float] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._context = context
        self._token = token
        self._controllers = controllers
        self._wait = wait
        self._pauses = pauses or {}
        self.names: dict[str, Any] = {"RUN": run, "NS": f"dt{run}"}

    def outcomes(self, asked: list[dict[str, Any]]) -> Iterator[Outcome]:
        for exchange in asked:
            pause_s = exchange["request"].get("sleep", 0) + self._pauses.get(exchange["n"], 0)
            if pause_s:
                self._wait(pause_s)
            answer = self.ask(exchange["request"], exchange["response"], looks_away=exchange["status_only"])
            if exchange["response"] is None or exchange["setup"]:
                continue
            if exchange["needs_controllers"] and not self._controllers:
                continue
            differences = self._differences(exchange, answer)
            yield Outcome(exchange["n"], exchange["name"], differences, answer.body)

    def ask(
        self, request: dict[str, Any], expected: dict[str, Any] | None = None, *, looks_away: bool = False
    ) -> Answer:
        headers = {
            "Accept": "application/json",
            "User-Agent": "python-requests/2",
            **(request.get("headers") or {}),
        }
        if self._token and not request.get("noauth"):
            headers["Authorization"] = f"Bearer {self._token}"
        if request.get("auth"):
            headers["Authorization"] = request["auth"]
        payload = None
        if (body := request.get("body")) is not None:
            filled = self._fill(body)
            payload = (filled if isinstance(filled, str) else json.dumps(filled)).encode()
            if request.get("ctype") is not False:
                headers["Content-Type"] = request.get("ctype") or "application/json"
        path = self._fill(request["path"])
        if request.get("params"):
            pairs = [
                f"{quote_plus(k)}={quote_plus(str(self._fill(v)))}" for k, v in request["params"].items()
            ]
            path += ("&" if "?" in path else "?") + "&".join(pairs)
        connection = self._connection()
        try:
            connection.request(request["method"], path, payload, headers)
            answer = _read(connection.getresponse(), bool(request.get("watch")), expected, looks_away)
        finally:
            connection.close()
        for name, steps in (request.get("cap") or {}).items():
            self.names[name] = _at(answer.body, steps.split("/"))
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=self._context)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = _PLACE.fullmatch(value)
            if whole is not None:
                return self.names.get(whole[1], f"MISSING-{whole[1]}")
            return _PLACE.sub(lambda found: str(self.names.get(found[1], f"MISSING-{found[1]}")), value)
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        if isinstance(value, dict):
            if "__repeat__" in value:
                text, times = value["__repeat__"]
                return text * times
            return {self._fill(key): self._fill(child) for key, child in value.items()}
        return value

    def _differences(self, exchange: dict[str, Any], ours: Answer) -> list[str]:
        real = exchange["response"]
        lines = []
        if real["code"] != ours.code:
            lines.append(f"code: real {real['code']} | ours {ours.code}")
        kinds = [text.replace(" ", "").lower() for text in (real["content_type"], ours.content_type)]
        if kinds[0] != kinds[1]:
            lines.append(f"content type: real {real['content_type']!r} | ours {ours.content_type!r}")
        for name in _HEADERS:
            wanted = self._fill(real["headers"].get(name))
            if wanted != ours.headers.get(name):
                lines.append(f"header {name}: real {wanted!r} | ours {ours.headers.get(name)!r}")
        if not exchange["status_only"]:
            bodies = [_plain(body) for body in (self._fill(real["body"]), ours.body)]
            if exchange["needs_controllers"]:
                bodies = [_without_choices(body) for body in bodies]
            lines += _compared(*bodies, "")
        return [line for line in lines if not any(re.search(known, line) for known in exchange["ignore"])]


def _read(
    response: http.client.HTTPResponse, is_watch: bool, expected: dict[str, Any] | None, looks_away: bool
) -> Answer:
    """``looks_away``: of a watch only the head counts."""
    kind = response.headers.get("Content-Type", "")
    if is_watch and response.status == 200:
        count = len(expected["body"]) if expected and isinstance(expected["body"], list) else 0
        lines: list[Any] = []
        if looks_away:
            return Answer(response.status, kind, dict(response.headers.items()), lines)
        while line := response.readline():
            text = line.decode().strip()
            lines.append(json.loads(text) if text.startswith("{") else text)
            if count and len(lines) >= count:
                break
        body: Any = lines
    else:
        body = response.read().decode("utf-8", "replace")
        if "json" in kind:
            try:
                body = json.loads(body)
            except ValueError:
                pass
    headers = {name: ", ".join(response.headers.get_all(name) or ()) for name in response.headers}
    return Answer(response.status, kind, headers, body)


def _at(body: Any, steps: list[str]) -> Any:
    for step in steps:
        try:
            body = body[int(step)] if isinstance(body, list) else body[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return "NOCAP"
    return body


def _plain(value: Any, key: str = "") -> Any:
    """``value`` without what no two servers have in common: versions, uids, times, generated names."""
    if key in ("resourceVersion", "remainingItemCount") and value not in ("", "0", None):
        return "<version>"
    if key == "continue" and value:
        return "<continue>"
    if isinstance(value, str):
        if key == "Age" or (key == "cells" and _AGE.fullmatch(value)):
            return "<age>"  # of a busy machine it is another one
        text = _MOMENT.sub("<time>", _UID.sub("<uid>", value))
        text = _AGE_IN_YAML.sub(r"\1<age>", _IN_YAML.sub("resourceVersion: <version>", text))
        return _NUMBER.sub("<n>", _IN_TEXT.sub(r"\1 <version>", text)) if key == "message" else text
    if isinstance(value, list):
        return [_plain(item, key) for item in value]
    if isinstance(value, dict):
        plain = {_UID.sub("<uid>", name): _plain(child, name) for name, child in value.items()}
        prefix = plain.get("generateName")
        if isinstance(prefix, str) and str(plain.get("name", "")).startswith(prefix):
            plain["name"] = "<generated>"
        return plain
    return value


def _without_choices(value: Any, key: str = "") -> Any:
    """``value`` without what a server draws at random: addresses and ports of services, its own certificate.

    In the recording these occur where answers are said to be another cluster's own.
    """
    if isinstance(value, dict):
        return {name: _without_choices(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [_without_choices(item, key) for item in value]
    if key == "nodePort" and isinstance(value, int):
        return "<port>"
    if key in ("clusterIP", "clusterIPs") and _SERVICE_ADDRESS.fullmatch(str(value)):
        return "<address>"
    return _CERTIFICATE.sub("<certificate>", value) if isinstance(value, str) else value


def _compared(real: Any, ours: Any, path: str) -> list[str]:
    if isinstance(real, dict) and isinstance(ours, dict):
        lines = [f"{path}.{name}: only real = {_short(real[name])}" for name in real if name not in ours]
        lines += [f"{path}.{name}: only ours = {_short(ours[name])}" for name in ours if name not in real]
        for name in real:
            if name in ours:
                lines += _compared(real[name], ours[name], f"{path}.{name}")
        return lines
    if isinstance(real, list) and isinstance(ours, list):
        lines = [] if len(real) == len(ours) else [f"{path}: real has {len(real)} items, ours {len(ours)}"]
        for position, pair in enumerate(zip(real, ours, strict=False)):
            lines += _compared(*pair, f"{path}[{position}]")
        return lines
    if _is_number(real) and _is_number(ours):
        return [] if real == ours else [f"{path}: real {_short(real)} | ours {_short(ours)}"]
    if type(real) is not type(ours) or real != ours:
        return [f"{path}: real {_short(real)} | ours {_short(ours)}"]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 240 else f"{text[:240]}…"

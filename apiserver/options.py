"""The options of one API server, and its command-line flags."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deltawire.apiserver.auth.kubeconfig import NAME
from deltawire.apiserver.auth.tokens import BearerToken, read_token_file
from deltawire.apiserver.faults.fault import Fault
from deltawire.apiserver.faults.reading import parse_fault
from deltawire.common.errors import ConfigError

# More objects than this in one --objects entry is a slip of the keyboard.
OBJECTS_MAX = 10_000_000
# No pod of a test takes longer to start or stop.
POD_DELAY_MAX_S = 3600.0
_RATE = re.compile(r"(?P<count>[0-9]+(?:\.[0-9]+)?)(?:/(?P<unit>s|m))?")


@dataclass(frozen=True, slots=True)
class ApiServerOptions:
    """``port`` 0 takes a free one. ``data`` keeps objects over restarts.

    ``tokens``: only their bearers are admitted; a plain one is the administrator's. kubectl sends them over ``tls``
    only. ``users``: name → groups; they get client certificates and contexts in the kubeconfig. ``rbac`` forbids
    what no role allows. Both make the server listen with TLS.

    ``objects`` are made at the start, by resource (``{"pods": 1000}``); ``churn_per_s`` are writes a second
    of the simulated cluster; ``seed`` decides what it writes. ``kubeconfig`` is written when listening.
    ``controllers`` run pods on simulated nodes (one, unless ``objects`` says another number) and act on workloads;
    each pod takes ``pod_delay_s`` to start, and to stop. Without ``accounts`` a namespace has no account ``default``:
    so it is under a kube-apiserver that runs alone.
    ``load`` are files, or folders of files, with objects to begin with (`apiserver.loading`).
    ``faults`` are set before the first request comes; ``as_of`` takes the data file back to that version.
    ``expired_watch_as_http`` answers a watch from a lost version with HTTP 410 (real servers: an ERROR event in
    the stream, the default). The window bounds the events kept of each resource. Without ``listen`` there is
    no port: only this process reaches it, by `ApiServer.session` and `ApiServer.adapter`.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    tls: bool = False
    tokens: Sequence[str | BearerToken] = ()
    users: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rbac: bool = False
    objects: Mapping[str, int] = field(default_factory=dict)
    churn_per_s: float = 0.0
    controllers: bool = False
    pod_delay_s: float = 0.0
    accounts: bool = True
    bookmark_interval_s: float = 60.0
    seed: int = 1
    kubeconfig: Path | None = None
    expired_watch_as_http: bool = False
    window_events_max: int = 10_000
    window_bytes_max: int = 64 << 20
    listen: bool = True
    faults: Sequence[Fault] = ()
    as_of: int = 0
    load: Sequence[Path] = ()

    @property
    def uses_tls(self) -> bool:
        return self.tls or bool(self.users) or (self.rbac and self.listen)


def parse_rate(text: str) -> float:
    """``200/s``, ``600/m`` or a bare ``200`` as writes a second. Raises ConfigError."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is not a rate", path="churn", hint="write it as 200/s")
    return float(found["count"]) / (60 if found["unit"] == "m" else 1)


def parse_objects(texts: Sequence[str]) -> dict[str, int]:
    """``["pods=1000", "configmaps=5,nodes=3"]`` as numbers by resource. Raises ConfigError."""
    objects: dict[str, int] = {}
    for entry in (entry.strip() for text in texts for entry in text.split(",")):
        name, sign, count = entry.partition("=")
        if not name or not sign or not count.isdecimal() or len(count) > 9 or int(count) > OBJECTS_MAX:
            raise ConfigError(f"{entry!r} is not RESOURCE=NUMBER", path="objects", hint="as in pods=1000")
        objects[name.strip().lower()] = int(count)
    return objects


def parse_users(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``["bob=dev,ops", "alice"]`` as groups by user. Raises ConfigError."""
    users: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, groups = text.partition("=")
        name = name.strip()
        if not name or name == NAME or name in users:
            why = "is the administrator's context" if name == NAME else "names nobody new"
            raise ConfigError(f"{text!r} {why}", path="user", hint="write it as NAME or NAME=GROUP,GROUP")
        users[name] = tuple(group.strip() for group in groups.split(",") if group.strip())
    return users


def parse_flags(argv: Sequence[str]) -> ApiServerOptions:
    """The options of ``python -m deltawire.apiserver``. Raises ConfigError for values that make no sense."""
    parser = argparse.ArgumentParser(
        prog="deltawire apiserver", description="An embedded Kubernetes API server."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    parser.add_argument(
        "--write-kubeconfig", type=Path, metavar="FILE", help="written when the server listens"
    )
    parser.add_argument(
        "--objects", action="append", default=[], metavar="pods=1000", help="made at the start"
    )
    parser.add_argument("--churn", default="0", metavar="200/s", help="writes of a small simulated cluster")
    parser.add_argument(
        "--controllers", action="store_true", help="simulated nodes run pods, and workloads get theirs"
    )
    parser.add_argument(
        "--pod-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="what a pod takes to start, and to stop (with --controllers; default: no time)",
    )
    parser.add_argument(
        "--no-accounts",
        action="store_true",
        help="namespaces get no account `default`, as without a cluster's controllers",
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="keep the objects over restarts")
    parser.add_argument(
        "--load",
        action="append",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="manifests, definitions or a dump to begin with, as YAML or JSON; a folder: its files",
    )
    parser.add_argument(
        "--as-of", type=int, default=0, metavar="VERSION", help="start with an earlier state of the data file"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[=VALUE][,…]",
        help="wrong from the start: error=403,lasts_s=5 (repeatable)",
    )
    parser.add_argument("--tls", action="store_true", help="https with a certificate made for this run")
    parser.add_argument("--token", action="append", default=[], help="a bearer token to let in (repeatable)")
    parser.add_argument(
        "--token-auth-file", type=Path, metavar="FILE", help="tokens as CSV: token,user,uid,groups"
    )
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME[=GROUP,...]",
        help="gets a client certificate and a context in the kubeconfig (repeatable; implies --tls)",
    )
    parser.add_argument("--rbac", action="store_true", help="forbid what no role allows (implies --tls)")
    parser.add_argument("--bookmark-interval", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1, help="decides what the simulated cluster does")
    flags = parser.parse_args(argv)
    if not 0 <= flags.port <= 65535:
        raise ConfigError(f"{flags.port} is not a port", path="port", hint="0 to 65535")
    if not flags.bookmark_interval > 0:
        raise ConfigError("must be above 0", path="bookmark-interval")
    if not 0 <= flags.pod_delay <= POD_DELAY_MAX_S:
        raise ConfigError(
            f"{flags.pod_delay:g} is not in range", path="pod-delay", hint=f"0 to {POD_DELAY_MAX_S:g} seconds"
        )
    if flags.as_of and flags.data is None:
        raise ConfigError("needs a data file", path="as-of", hint="as in --data FILE --as-of 120")
    return ApiServerOptions(
        host=flags.host,
        port=flags.port,
        data=flags.data,
        tls=flags.tls,
        tokens=(*flags.token, *(read_token_file(flags.token_auth_file) if flags.token_auth_file else ())),
        users=parse_users(flags.user),
        rbac=flags.rbac,
        objects=parse_objects(flags.objects),
        churn_per_s=parse_rate(flags.churn),
        controllers=flags.controllers,
        pod_delay_s=flags.pod_delay,
        accounts=not flags.no_accounts,
        bookmark_interval_s=flags.bookmark_interval,
        seed=flags.seed,
        kubeconfig=flags.write_kubeconfig,
        faults=tuple(map(parse_fault, flags.fault)),
        as_of=flags.as_of,
        load=tuple(path for paths in flags.load for path in paths),
    )

"""The API server of a run: a process with RBAC, TLS and a data file, hit and started again at the same address."""

import base64
import contextlib
import http.client
import secrets
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import yaml

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.later import until_it_succeeds
from deltawire.cli.chaos.shape import NAMESPACES, RESOURCES
from deltawire.client.config import yaml_text
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError

USER = "chaos"
START_S = 60.0
_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


class Server:
    """``deltawire apiserver`` with ``--data``. Raises DeltawireError where it does not come up."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.ca = folder / "server-ca.pem"
        self.token = folder / "admin.token"
        self.kubeconfig = folder / "kubeconfig"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_away = True
        admin, user = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self._write("admin.token", admin)
        self._write("tokens.csv", f'{admin},admin,1,"system:masters"\n{user},{USER},2\n')
        self._user_token = user

    def start(self) -> None:
        """Start it and wait until it answers."""
        made = self._folder / "server.kubeconfig"
        made.unlink(missing_ok=True)
        self._process = processes.start(
            [
                sys.executable, "-m", "deltawire.apiserver", "--port", str(self._port), "--rbac",
                "--token-auth-file", str(self._folder / "tokens.csv"), "--data", str(self._folder / "server.data"),
                "--bookmark-interval", "5", "--write-kubeconfig", str(made),
            ],
            self._folder / "server.log",
        )  # fmt: skip
        deadline = self._clock.now_s() + START_S
        while not made.exists():
            if self._process.poll() is not None or self._clock.now_s() > deadline:
                raise DeltawireError("the API server did not start", hint=f"see {self._folder}/server.log")
            self._clock.sleep(0.02)
        self._is_away = False
        if not self.kubeconfig.exists():
            self._prepare(yaml.safe_load(made.read_text()))

    def kill(self) -> None:
        assert self._process is not None  # noqa: S101  # `start` came before
        self._is_away = True
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        self._is_away = True
        if self._process is not None:
            processes.end_group(self._process, wait_s=15)

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT."""
        assert self._process is not None  # noqa: S101
        self._is_away = number == signal.SIGSTOP
        processes.send(self._process.pid, number)

    def grant(self) -> bool:
        """Give the pipeline's user the rights to read what it watches. Whether he has them."""
        body = {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": USER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        }  # fmt: skip
        return self._made(_BINDINGS, body)

    def forbid(self) -> bool:
        """Take the rights away, and end the watches that they opened. Whether both was done."""
        code = self._ask("DELETE", f"{_BINDINGS}/{USER}")
        return (200 <= code < 300 or code == 404) and self.admin("POST", "cut")

    def admin(self, method: str, name: str, query: Mapping[str, Any] | None = None) -> bool:
        """An endpoint under ``/_deltawire/``. Whether the server did it."""
        code = self._ask(method, f"/_deltawire/{name}{'?' + urlencode(query) if query else ''}")
        return 200 <= code < 300

    def _made(self, path: str, body: Any) -> bool:
        """Whether the object is there now."""
        code = self._ask("POST", path, body)
        return 200 <= code < 300 or code == 409

    def _ask(self, method: str, path: str, body: Any = None) -> int:
        """The answer's code; 0 without one: the server may be away or faulty on purpose."""
        if self._is_away:
            return 0
        tls = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=10, context=tls)
        headers = {"Authorization": f"Bearer {self.token.read_text()}", "User-Agent": "chaos-driver"}
        try:
            data = None if body is None else msgspec.json.encode(body)
            connection.request(method, path, data, headers | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _prepare(self, made: Mapping[str, Any]) -> None:
        """The CA's file, the pipeline's kubeconfig, namespaces and rights. At the first start only."""
        cluster = made["clusters"][0]["cluster"]
        self.ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": USER,
            "clusters": [{"name": USER, "cluster": {**cluster, "server": self.url}}],
            "users": [{"name": USER, "user": {"token": self._user_token}}],
            "contexts": [{"name": USER, "context": {"cluster": USER, "user": USER}}],
        }  # fmt: skip
        rules = [
            {"apiGroups": [""], "resources": list(RESOURCES), "verbs": ["get", "list", "watch"]},
            {
                "apiGroups": [""],
                "resources": ["namespaces"],
                "resourceNames": ["kube-system"],
                "verbs": ["get"],
            },
        ]
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER},
        }
        wanted: list[tuple[str, Mapping[str, Any]]] = [(_ROLES, {**role, "rules": rules})]
        wanted += [("/api/v1/namespaces", {"metadata": {"name": namespace}}) for namespace in NAMESPACES]
        for path, body in wanted:
            until_it_succeeds(self._clock, f"make what is needed at {path}", partial(self._made, path, body))
        until_it_succeeds(self._clock, "give the pipeline its rights", self.grant)
        self._write("kubeconfig", yaml_text.dump(config))

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(text)


def free_port() -> int:
    """A free port of the loopback address."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

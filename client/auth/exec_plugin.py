"""Credentials from an exec plug-in: asked when needed, kept until they expire or are refused."""

import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from deltawire.client.auth import plugin_process
from deltawire.client.auth.exec_credential import (
    ExecCluster,
    ExecCredential,
    base64_of,
    parse,
    request_of,
    wrong,
)
from deltawire.client.auth.plugin_process import Finished
from deltawire.client.auth.tls import ca_bytes_of, is_pair
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import ExecPlugin
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import CredentialsError

# A credential this young is not asked for again: the 401 belongs to the one before it, or a new one would
# be refused as well.
YOUNG_S = 1.0


class Runner(Protocol):
    """What runs a plug-in; `plugin_process.run` outside of tests."""

    def __call__(
        self, argv: list[str], env: Mapping[str, str], *, is_interactive: bool, clock: Clock
    ) -> Finished: ...


class ExecCredentials:
    """The credentials of one plug-in for one cluster. Safe to use from many threads; one of them asks.

    Nothing runs before the first request. A credential without an expiry is kept until the server
    refuses it. Raises CredentialsError from `headers` and `certificate`.
    """

    def __init__(
        self,
        plugin: ExecPlugin,
        config: ClientConfig,
        *,
        clock: Clock,
        run: Runner = plugin_process.run,
        is_terminal: Callable[[], bool] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._plugin = plugin
        self._config = config
        self._clock = clock
        self._run = run
        self._is_terminal = is_terminal or _stdin_is_terminal
        self._env = os.environ if env is None else env
        self._lock = threading.Lock()
        self._held: ExecCredential | None = None
        self._asked_at_s = 0.0

    def headers(self) -> Mapping[str, str]:
        token = self._current().token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def certificate(self) -> tuple[bytes, bytes] | None:
        held = self._current()
        return (held.cert, held.key) if held.cert else None

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        with self._lock:
            held = self._held
            if held is None:
                return True
            if refused and refused.get("Authorization") != f"Bearer {held.token}":
                return True  # another thread was faster: there is a newer one
            if self._clock.now_s() - self._asked_at_s < YOUNG_S:
                return False
            self._held = None
            return True

    def _current(self) -> ExecCredential:
        with self._lock:
            held = self._held
            if held is None or _is_over(held, self._clock.wall_s()):
                held = self._held = self._ask()
                self._asked_at_s = self._clock.now_s()
            return held

    def _ask(self) -> ExecCredential:
        plugin = self._plugin
        is_interactive = self._may_ask_a_person()
        told = request_of(plugin, self._cluster(), is_interactive=is_interactive)
        # As in Go, the first = ends a name, wherever it stands.
        pairs = (f"{name}={value}".partition("=") for name, value in plugin.env)
        env = {**self._env, **{name: value for name, _, value in pairs}, "KUBERNETES_EXEC_INFO": told}
        try:
            finished = self._run(
                [plugin.command, *plugin.args], env, is_interactive=is_interactive, clock=self._clock
            )
        except CredentialsError as error:
            raise CredentialsError(
                f"getting credentials: {error.message}", hint=plugin.install_hint
            ) from None
        if finished.exit_code:
            raise CredentialsError(
                f"getting credentials: the exec plug-in {plugin.command!r} failed with exit code "
                f"{finished.exit_code}",
                hint="run it by hand to see why: what it writes to stderr may hold secrets and is shown on a terminal "
                f"only; it is named in {plugin.where or 'the configuration'}",
            )
        found = parse(finished.printed, plugin)
        if found.cert and not is_pair(found.cert, found.key):
            # Without the certificate the request would be anonymous: it fails instead.
            raise wrong(
                plugin, "printed a client certificate and a key that are no pair in PEM form, without a password"
            )
        return found

    def _may_ask_a_person(self) -> bool:
        mode = self._plugin.interactive_mode
        if mode == "Never":
            return False
        is_terminal = self._is_terminal()
        if mode == "Always" and not is_terminal:
            raise CredentialsError(
                f"getting credentials: the exec plug-in {self._plugin.command!r} wants to ask a person, and "
                "standard input is not a terminal",
                hint=f"see {self._plugin.where}.interactiveMode",
            )
        return is_terminal

    def _cluster(self) -> ExecCluster:
        config = self._config
        ca = ca_bytes_of(config) if self._plugin.provide_cluster_info else b""
        return ExecCluster(
            server=config.host,
            tls_server_name=config.tls_server_name,
            insecure_skip_tls_verify=config.insecure_skip_tls_verify,
            certificate_authority_data=base64_of(ca) if ca else "",
            proxy_url=config.proxy_url,
            disable_compression=config.disable_compression,
            config=msgspec.Raw(self._plugin.cluster_config or b"null"),
        )


# One per plug-in and cluster in this process: clients for many groups ask once.
_shared: "weakref.WeakValueDictionary[tuple[object, ...], ExecCredentials]" = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def exec_credentials(plugin: ExecPlugin, config: ClientConfig, clock: Clock) -> ExecCredentials:
    """The credentials of ``plugin``, shared by all clients of this process that use the same one."""
    if not isinstance(clock, SystemClock):
        return ExecCredentials(plugin, config, clock=clock)
    key = (plugin, config.host, config.ca_file, config.ca_data, config.tls_server_name, config.proxy_url)
    with _shared_lock:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = ExecCredentials(plugin, config, clock=clock)
        return found


def _is_over(held: ExecCredential, wall_s: float) -> bool:
    return held.expires_at_s is not None and held.expires_at_s <= wall_s


def _stdin_is_terminal() -> bool:
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:
        return False  # closed

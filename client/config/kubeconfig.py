"""kubeconfig files: their shape, reading one, merging several.

Each entry remembers the file that it came from: relative paths in it are meant from there.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from deltawire.client.config import yaml_text
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded

KUBECONFIG_BYTES_MAX = 16 * 1024 * 1024
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


def _key(attribute: str) -> str:
    """A key as kubeconfig files write it: with dashes, but for two; ``impersonate`` is ``as`` there."""
    if attribute in ("token_file", "api_version"):
        return attribute.replace("_f", "F").replace("_v", "V")
    return attribute.replace("impersonate", "as").replace("_", "-")


class Extension(msgspec.Struct, frozen=True):
    """Data of other programs under a name."""

    name: str = ""
    extension: Any = None


class ClusterEntry(msgspec.Struct, frozen=True, rename=_key):
    """Where a server is and how it is recognised."""

    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    extensions: list[Extension] = []


class Variable(msgspec.Struct, frozen=True):
    """One environment variable of a plug-in."""

    name: str = ""
    value: str = ""


class ExecEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A program that prints credentials."""

    command: str = ""
    args: list[str] = []
    env: list[Variable] = []
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class AuthProviderEntry(msgspec.Struct, frozen=True):
    """What was built into clients before plug-ins."""

    name: str = ""
    config: dict[str, str] = {}


class UserEntry(msgspec.Struct, frozen=True, rename=_key):
    """A user and its credentials. Its repr names what is set and shows no value."""

    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    impersonate: str = ""
    impersonate_uid: str = ""
    impersonate_groups: list[str] = []
    impersonate_user_extra: dict[str, list[str]] = {}
    exec: ExecEntry | None = None
    auth_provider: AuthProviderEntry | None = None

    def __repr__(self) -> str:
        return f"UserEntry({', '.join(name for name in self.__struct_fields__ if getattr(self, name))})"


class ContextEntry(msgspec.Struct, frozen=True, rename=_key):
    """A cluster, a user and a namespace under one name."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(msgspec.Struct, frozen=True):
    name: str = ""
    cluster: ClusterEntry = ClusterEntry()


class _NamedUser(msgspec.Struct, frozen=True):
    name: str = ""
    user: UserEntry = UserEntry()


class _NamedContext(msgspec.Struct, frozen=True):
    name: str = ""
    context: ContextEntry = ContextEntry()


class _File(msgspec.Struct, frozen=True, rename=_key):
    """The file as written. Unknown keys belong to other programs."""

    api_version: str = ""
    kind: str = ""
    clusters: list[_NamedCluster] = []
    users: list[_NamedUser] = []
    contexts: list[_NamedContext] = []
    current_context: str = ""


# msgspec learns the class here, and not from the first threads that need it at once (client/rest/decode).
msgspec.json.Decoder(_File)

E = TypeVar("E", ClusterEntry, UserEntry, ContextEntry)


@dataclass(frozen=True, slots=True)
class Placed(Generic[E]):
    """An entry and where it stands: ``file``, and ``path`` within it as in ``users[1].user``."""

    entry: E
    file: Path
    path: str

    def where(self, key: str = "") -> str:
        """The place of ``key`` in words that lead an editor there."""
        return f"{self.file}: {self.path}.{key}" if key else f"{self.file}: {self.path}"

    def resolve(self, path: str) -> str:
        """``path`` as seen from the file; ``~`` is the home folder. Raises ConfigError where it is not known."""
        return str(self.file.parent / expanded(path, where=self.where())) if path else ""


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """One file, or several merged. ``files`` are those that were there."""

    clusters: dict[str, Placed[ClusterEntry]] = field(default_factory=dict)
    users: dict[str, Placed[UserEntry]] = field(default_factory=dict)
    contexts: dict[str, Placed[ContextEntry]] = field(default_factory=dict)
    current_context: str = ""
    files: tuple[Path, ...] = ()


def read(path: Path) -> Kubeconfig:
    """The kubeconfig in a file. Raises ConfigError with file and field, and FileNotFoundError as it is."""
    path = path.absolute()
    try:
        with path.open("rb") as file:
            data = file.read(KUBECONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from None
    if len(data) > KUBECONFIG_BYTES_MAX:
        raise ConfigError(f"is larger than {KUBECONFIG_BYTES_MAX} bytes", path=str(path))
    return parse(data, path)


def parse(data: bytes, path: Path) -> Kubeconfig:
    """The kubeconfig in ``data``, which stood in ``path``. An empty file is an empty config.

    Raises ConfigError for what kubectl refuses to load, too: another kind of document, a name that occurs twice,
    data that is not base64, whoever uses it.
    """
    try:
        raw = yaml_text.load(data)
    except ValueError as error:
        raise ConfigError(str(error), path=str(path)) from None
    try:
        file = msgspec.convert({} if raw is None else _without_nulls(raw), _File)
    except msgspec.ValidationError as error:
        match = _AT.match(str(error))
        what, at = (match["what"], match["path"]) if match else (str(error), "")
        raise ConfigError(what.replace("`", ""), path=f"{path}: {at}" if at else str(path)) from None
    if file.kind not in ("", "Config") or file.api_version not in ("", "v1"):
        raise ConfigError(
            f"this is a {file.kind or 'Config'} of version {file.api_version or 'v1'!r} and no kubeconfig",
            path=str(path),
            hint="a kubeconfig has kind: Config and apiVersion: v1, or neither",
        )
    return Kubeconfig(
        _placed(((item.name, item.cluster) for item in file.clusters), path, "cluster"),
        _placed(((item.name, item.user) for item in file.users), path, "user"),
        _placed(((item.name, item.context) for item in file.contexts), path, "context"),
        file.current_context,
        (path,),
    )


def merge(configs: Iterable[Kubeconfig]) -> Kubeconfig:
    """Several files as one: whole entries, and the current context, of the first that has them."""
    merged = Kubeconfig()
    for config in configs:
        merged = Kubeconfig(
            config.clusters | merged.clusters,
            config.users | merged.users,
            config.contexts | merged.contexts,
            merged.current_context or config.current_context,
            merged.files + config.files,
        )
    return merged


# Lists of entries: nothing in one of them is an empty entry, elsewhere it is an empty text, as in Go.
_LISTS_OF_ENTRIES = frozenset({"clusters", "users", "contexts", "extensions", "env"})


def _without_nulls(raw: Any, key: str = "") -> Any:
    """``raw``, which stands under ``key``: one with nothing behind it is the same as none, kubectl writes both."""
    if isinstance(raw, dict):
        # What is in an extension is its owner's, a null in it, too.
        return {
            name: value if name == "extension" else _without_nulls(value, name)
            for name, value in raw.items()
            if value is not None
        }
    if isinstance(raw, list):
        nothing: Any = {} if key in _LISTS_OF_ENTRIES else ""
        return [nothing if item is None else _without_nulls(item) for item in raw]
    return raw


def decoded(place: Placed[Any], key: str, text: str) -> bytes:
    """The bytes behind one of the ``…-data`` keys: base64, in which lines may be broken."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("not base64", path=place.where(key)) from None


def _placed(entries: Iterable[tuple[str, E]], file: Path, kind: str) -> dict[str, Placed[E]]:
    found: dict[str, Placed[E]] = {}
    for i, (name, entry) in enumerate(entries):
        if name in found:
            raise ConfigError(f"a second {kind} named {name!r}", path=f"{file}: {kind}s[{i}].name")
        found[name] = Placed(entry, file, f"{kind}s[{i}].{kind}")
        for attribute in entry.__struct_fields__:
            if attribute.endswith("_data"):
                decoded(found[name], _key(attribute), getattr(entry, attribute))
    return found

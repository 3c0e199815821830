"""Clusters from a folder of kubeconfigs: each file is one, named like the file."""

import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from deltawire.common.config.schema import NAME_PATTERN, Cluster, Config
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded

# Files of the folder; with more of them it is refused.
KUBECONFIGS_MAX = 1000

# (modified in ns, bytes) of each file.
Stamps = dict[Path, tuple[int, int]]


def with_kubeconfigs(config: Config, *, is_strict: bool = True) -> Config:
    """The config with the clusters of its folder behind those that it names itself.

    Raises ConfigError for what can be no cluster; without ``is_strict`` that is left out.
    """
    if config.kubeconfigs is None:
        return config
    try:
        files = list(stamps(folder_of(config.kubeconfigs)))
    except ConfigError:
        if is_strict:
            raise
        return config
    clusters = dict(config.clusters)
    for path in files:
        name = path.name.split(".")[0]
        if problem := _problem(path.name, name, clusters):
            if is_strict:
                raise ConfigError(problem, path="kubeconfigs")
            continue
        clusters[name] = Cluster(kubeconfig=str(path))
    return msgspec.structs.replace(config, clusters=clusters)


def _problem(file: str, name: str, clusters: Collection[str]) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        return f"{file!r} makes no cluster's name (lower case, digits and -, at most 63)"
    return f"{file!r} makes a second cluster named {name!r}" if name in clusters else ""


def folder_of(text: str) -> Path:
    return expanded(text, where="kubeconfigs").resolve()


def stamps(folder: Path) -> Stamps:
    """The files of the folder by name, but for hidden ones. Raises ConfigError."""
    found: Stamps = {}
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            stat = path.stat()
            found[path] = (stat.st_mtime_ns, stat.st_size)
            if len(found) > KUBECONFIGS_MAX:
                raise ConfigError(f"{folder} has more than {KUBECONFIGS_MAX} files", path="kubeconfigs")
    except OSError as error:
        raise ConfigError(f"cannot read the folder {folder}: {error.strerror}", path="kubeconfigs") from None
    return found

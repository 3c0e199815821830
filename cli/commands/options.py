"""Flags that several commands share, so that they read the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The config file. Default: ./deltawire.yaml."),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="The state folder, instead of the config's store.dir."),
]
CoreOption = Annotated[
    str | None,
    typer.Option("--core", metavar="HOST:PORT", help="A core on another host: the address of its control socket."),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="With --core: a secret (reader.ann.secret), the core's list `allowed` beside it."
    ),
]
ForOption = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="15s",
        help="End by itself after this long: churn stops, queues drain, every cache is compared with the "
        "API server. Exit code 1 if anything differs.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object as the last line of stdout; all else goes to stderr."),
]
LogLevelOption = Annotated[
    str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="ADDR",
        help="Serve /metrics, /livez and /readyz here: 127.0.0.1:9095 or unix:PATH.",
    ),
]
ObjectsOption = Annotated[
    list[str] | None,
    typer.Option("--objects", metavar="pods=200", help="Objects of the embedded API server at its start."),
]
ChurnOption = Annotated[
    str | None,
    typer.Option("--churn", metavar="50/s", help="Writes a second in the embedded API server; 0 for none."),
]
EmbeddedOption = Annotated[
    bool, typer.Option("--embedded", help="Start an API server with a small simulated cluster, and use it.")
]
ControllersOption = Annotated[
    bool,
    typer.Option("--controllers", help="With --embedded: simulated nodes run pods, workloads get theirs."),
]
LoadOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--load",
        metavar="FILE",
        help="With --embedded: manifests and definitions to begin with, files or folders; repeatable.",
    ),
]
NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NS", help="Only this namespace.")
]
AllNamespacesOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces.")]


def check_log_level(level: str) -> str:
    """The level, or ConfigError."""
    from deltawire.common.errors import ConfigError

    levels = ("debug", "info", "warning", "error")
    if level not in levels:
        raise ConfigError(f"{level!r} is not a log level", path="--log-level", hint=", ".join(levels))
    return level


def parse_for(text: str | None) -> float | None:
    """Seconds of ``--for``. Raises ConfigError."""
    from deltawire.common.meta.units import parse_duration_s

    return None if text is None else parse_duration_s(text, "--for")

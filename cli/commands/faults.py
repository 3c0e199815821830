"""``deltawire faults``: make something go wrong in an embedded API server, on purpose."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deltawire.cli.commands import options

app = typer.Typer(help="Make the embedded API server fail on purpose.", no_args_is_help=True)

KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="The server's kubeconfig. Default: the first cluster of the config.",
    ),
]
_PATH = "/_deltawire/faults"


@app.callback()
def _root() -> None:
    """Make the embedded API server fail on purpose: of a demo that runs, or of `deltawire apiserver`."""


def set_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="latency, throttle, error, unauthorized, drop, bare-status; of answers garbage, half, wrong-length, "
            "slow; of watches these (but wrong-length) and cut, black-hole, no-bookmarks, no-initial-end, error-event; "
            "of TLS tls-refused, tls-stranger, tls-expired.",
        ),
    ],
    value: Annotated[
        float | None,
        typer.Argument(
            metavar="VALUE", help="Seconds, HTTP code, events or bytes a second, as the kind has it."
        ),
    ] = None,
    resource: Annotated[
        str, typer.Option(metavar="NAME", help="Only requests for this resource: pods, deployments.apps.")
    ] = "",
    verb: Annotated[
        str, typer.Option(metavar="VERB", help="Only this verb: get, list, watch, create, …")
    ] = "",
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Only the next N requests; default: until it is cleared.")
    ] = None,
    path: Annotated[
        str, typer.Option(metavar="PATH", help="Only this path of a URL; a * at its end: all that begin so.")
    ] = "",
    user: Annotated[str, typer.Option(metavar="NAME", help="Only requests of this user.")] = "",
    share: Annotated[
        float,
        typer.Option(metavar="S", help="Only this share of the requests, at random: 0.1 is one in ten."),
    ] = 1.0,
    lasts: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="Clear it by itself after so long.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="R", help="The reason in an error's Status.")] = "",
    message: Annotated[str, typer.Option(metavar="TEXT", help="The message in an error's Status.")] = "",
    kubeconfig: KubeconfigOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Set a fault, and print its number."""
    asked = {"kind": kind, "value": value, "resource": resource, "verb": verb, "count": count}
    asked |= {"path": path, "user": user, "share": share, "lasts_s": lasts}
    asked |= {"reason": reason, "message": message}
    made = _ask("POST", asked, kubeconfig, config, store)
    sys.stdout.write(f"{made['id']}\n")
    return 0


def list_(
    kubeconfig: KubeconfigOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """List the faults that are set, and how many requests each has met."""
    from deltawire.cli.output.table import align

    rows = [["ID", "KIND", "VALUE", "RESOURCE", "VERB", "PATH", "USER", "MET", "LEFT"]]
    for fault in _ask("GET", {}, kubeconfig, config, store)["faults"]:
        left = "-" if fault["left"] is None else str(fault["left"])
        narrowed = [fault[name] or "*" for name in ("resource", "verb", "path", "user")]
        rows.append(
            [str(fault["id"]), fault["kind"], f"{fault['value']:g}", *narrowed, str(fault["met"]), left]
        )
    if len(rows) == 1:
        sys.stderr.write("No faults.\n")
    else:
        sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def clear(
    number: Annotated[int | None, typer.Argument(metavar="ID", help="Only this one; default: all.")] = None,
    kubeconfig: KubeconfigOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Take faults away."""
    cleared = _ask("DELETE", {"id": number}, kubeconfig, config, store)["cleared"]
    sys.stdout.write(f"{cleared} cleared\n")
    return 0 if cleared or number is None else 1


def _ask(
    method: str, query: dict[str, Any], kubeconfig: Path | None, config: Path | None, store: Path | None
) -> Any:
    """What the server's admin endpoint answers. Raises ConfigError, StatusError, TransportError."""
    from deltawire.cli.clients import lone_client, new_client
    from deltawire.cli.config_source import plan_of
    from deltawire.common.errors import ConfigError, StatusError

    if kubeconfig is not None:
        client = lone_client(str(kubeconfig))
    else:
        plan = plan_of(config, store)
        try:
            client = new_client(plan, next(iter(plan.clusters)))
        except ConfigError:
            raise ConfigError(
                "no API server is known here",
                hint="ask where `deltawire up --embedded` runs, or name the server with --kubeconfig FILE",
            ) from None
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    try:
        return client.verb(method).abs_path(_PATH).params(asked).do().into()
    except StatusError as error:
        # An unknown resource is a 404, too, and is named.
        if error.code != 404 or (asked.get("resource") and asked["resource"] in error.message):
            raise
        raise ConfigError(
            "this API server knows no faults", hint="only the embedded one does: `deltawire apiserver`"
        ) from None
    finally:
        client.close()

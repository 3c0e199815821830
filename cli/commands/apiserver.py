"""``deltawire apiserver``: the embedded API server alone."""

from pathlib import Path
from typing import Annotated

import typer


def apiserver(
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    write_kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Written when the server listens.")
    ] = None,
    objects: Annotated[
        list[str] | None, typer.Option(metavar="pods=1000", help="Objects made at the start.")
    ] = None,
    churn: Annotated[
        str, typer.Option(metavar="200/s", help="Writes a second of a small simulated cluster.")
    ] = "0",
    controllers: Annotated[
        bool,
        typer.Option("--controllers", help="Simulated nodes run pods, and workloads get theirs."),
    ] = False,
    pod_delay: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="What a pod takes to start, and to stop, with --controllers."),
    ] = 0.0,
    no_accounts: Annotated[
        bool,
        typer.Option(
            "--no-accounts", help="Namespaces get no account `default`, as without a cluster's controllers."
        ),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the objects here over restarts.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="https, with a certificate made for this run.")] = False,
    token: Annotated[
        list[str] | None, typer.Option(metavar="T", help="A bearer token to let in; repeatable.")
    ] = None,
    token_auth_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tokens to let in, as CSV: token,user,uid,groups.")
    ] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=GROUP,...]", help="Gets a client certificate and a context; repeatable, with TLS."
        ),
    ] = None,
    load: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Manifests, definitions or a dump to begin with; repeatable."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[=VALUE][,…]", help="Wrong from the start: error=403,lasts_s=5; repeatable."
        ),
    ] = None,
    as_of: Annotated[
        int, typer.Option(metavar="VERSION", help="Start with an earlier state of the data file.")
    ] = 0,
    rbac: Annotated[bool, typer.Option("--rbac", help="Forbid what no role allows, with TLS.")] = False,
) -> int:
    """Run a Kubernetes API server in memory, for demos and tests: kubectl and client libraries work against it."""
    from deltawire.apiserver.main import main

    argv = ["--port", str(port), "--host", host, "--churn", churn]
    if write_kubeconfig is not None:
        argv += ["--write-kubeconfig", str(write_kubeconfig)]
    if controllers:
        argv.append("--controllers")
    if no_accounts:
        argv.append("--no-accounts")
    if pod_delay:
        argv.append(f"--pod-delay={pod_delay}")
    if data is not None:
        argv += ["--data", str(data)]
    for path in load or []:
        argv += ["--load", str(path)]
    for entry in fault or []:
        argv += ["--fault", entry]
    if as_of:
        argv += ["--as-of", str(as_of)]
    for entry in objects or []:
        argv += ["--objects", entry]
    for entry in token or []:
        argv += ["--token", entry]
    for entry in user or []:
        argv += ["--user", entry]
    if token_auth_file is not None:
        argv += ["--token-auth-file", str(token_auth_file)]
    switches = [name for name, is_on in (("--tls", tls), ("--rbac", rbac)) if is_on]
    return main([*argv, *switches])

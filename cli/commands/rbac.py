"""``deltawire rbac``: the rights that a config needs, for ``kubectl apply``."""

import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options


def rbac(
    config: options.ConfigOption = None,
    account: Annotated[
        str, typer.Option("--account", metavar="NAME", help="The ServiceAccount, and the roles' name.")
    ] = "deltawire",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="The ServiceAccount's namespace.")
    ] = "deltawire",
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="NAME", help="The config's cluster. Default: its first."),
    ] = None,
) -> int:
    """Print the ServiceAccounts, roles and bindings that the config needs: the smallest that do.

    Nothing is asked of a cluster. Exit code 2 if the config is wrong.
    """
    from deltawire.cli import rbac as core
    from deltawire.cli.config_source import effective, required
    from deltawire.cli.output.documents import yaml_lines
    from deltawire.common.config.plan import Plan
    from deltawire.common.errors import ConfigError

    plan = Plan(effective(required(config)))
    name = cluster or plan.first_cluster
    if name not in plan.clusters:
        raise ConfigError(
            f"no cluster named {name!r} in the config", path="--cluster", hint=", ".join(plan.clusters)
        )
    account, namespace = core.object_name(account, "--account"), core.object_name(namespace, "--namespace")
    for obj in core.objects(plan, name, account=account, namespace=namespace):
        sys.stdout.write("---\n" + "".join(f"{line}\n" for line in yaml_lines([obj], is_one=True)))
    return 0

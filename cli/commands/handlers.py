"""``deltawire handlers``: the groups of the pipeline that runs."""

import sys

import typer

from deltawire.cli.commands import options

app = typer.Typer(help="The handlers of the pipeline that runs.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """The handlers of the pipeline that runs."""


def list_(config: options.ConfigOption = None, store: options.StoreOption = None) -> int:
    """List the handlers with what each watches and how far it is."""
    import msgspec

    from deltawire.cli.config_source import plan_of
    from deltawire.cli.output.table import align
    from deltawire.cli.requests import Supervision
    from deltawire.cli.supervisor.status_types import Snapshot
    from deltawire.cli.view.text import known

    plan = plan_of(config, store)
    with Supervision(plan) as supervision:
        snapshot = msgspec.convert(supervision.ask("status"), Snapshot)
    rows = [["NAME", "WATCHES", "REPLICAS", "SYNCED", "ACKNOWLEDGED", "PENDING", "DEAD", "RUNS"]]
    for name, group in snapshot.groups.items():
        handler = plan.handlers.get(name)
        rows.append(
            [
                name,
                ",".join(handler.informers) if handler else "-",
                str(group.replicas),
                "off" if group.off else "yes" if group.synced else "no",
                str(group.acknowledged),
                known(group.pending),
                known(group.dead),
                (handler.options.run or " ".join(handler.options.command)) if handler else "-",
            ]
        )
    sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0

"""``deltawire get``: objects from the caches, with kubectl's flags."""

import sys
from itertools import chain
from typing import Annotated

import typer

from deltawire.cli.commands import options

ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="NAME", help="Which cluster's cache, if there are several.")
]


def get(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="pods, deploy, widgets.example.com, …")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Only these; TYPE/NAME is understood, too.")
    ] = None,
    namespace: options.NamespaceOption = None,
    all_namespaces: options.AllNamespacesOption = False,
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="SEL", help="By labels: app=web,tier in (a,b).")
    ] = "",
    field_selector: Annotated[
        str, typer.Option("--field-selector", metavar="SEL", help="By fields: status.phase=Running.")
    ] = "",
    index: Annotated[
        str | None, typer.Option("--index", metavar="NAME=VALUE", help="By an index of the informer.")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FORMAT", help="table, wide, json, yaml, name, jsonpath=TEMPLATE."
        ),
    ] = "table",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Then print every change as it comes.")
    ] = False,
    cluster: ClusterOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Show objects from the caches: the API server is not asked, and need not run.

    The first line, on stderr, says how fresh the cache is.
    """
    from deltawire.cli.caches import cache_line, find_cache
    from deltawire.cli.core import plan_of
    from deltawire.cli.freshness import FreshnessWatch, ask, words
    from deltawire.cli.namespaces import default_namespace
    from deltawire.cli.output import formats
    from deltawire.cli.query import Query, follow
    from deltawire.common.clock import SystemClock

    shape = formats.parse_format(output)
    word, _, name = type_.partition("/")
    wanted = [*([name] if name else []), *(names or [])]
    plan, clock = plan_of(config, store, core, key), SystemClock()
    found = find_cache(plan, word, cluster)
    with found.cache:
        resource = found.resource
        space = "" if all_namespaces else namespace or default_namespace(plan, found.cluster)
        query = Query(
            resource,
            namespace=space if resource.namespaced else "",
            names=wanted,
            labels=selector,
            fields=field_selector,
            index=index,
        )
        said = words(ask(plan), found.informer)
        sys.stderr.write(cache_line(found, said) + "\n")
        sys.stderr.flush()
        objects, missing = query.run(found.cache, names_only=shape[0] == "name")
        first = next(objects, None)
        if first is not None or (shape[0] in ("json", "yaml", "jsonpath") and not missing):
            for line in formats.lines(
                chain([] if first is None else [first], objects),
                resource,
                shape,
                is_one=len(wanted) == 1,
                show_namespace=all_namespaces,
                now_s=clock.wall_s(),
            ):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        elif not missing:
            where = f" in {space} namespace" if space and resource.namespaced else ""
            sys.stderr.write(f"No resources found{where}.\n")
        for name in missing:
            sys.stderr.write(f'Error from the cache (NotFound): {resource.name} "{name}" not found\n')
        if watch and not missing:
            watch_freshness = FreshnessWatch(plan, found.informer, said, say)
            follow(
                found.cache,
                query,
                shape,
                show_namespace=all_namespaces,
                clock=clock,
                each_turn=watch_freshness.turn,
                say=say,
            )
    return 1 if missing else 0


def say(line: str) -> None:
    """A line beside what is printed."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

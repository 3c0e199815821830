"""``deltawire tail``: changes of a resource as they reach the cache, field by field."""

import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options
from deltawire.cli.commands.get import ClusterOption, say


def tail(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="pods, deploy, …")],
    namespace: options.NamespaceOption = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="15s", help="End after this long. Default: at Ctrl-C.")
    ] = None,
    cluster: ClusterOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Print what changes in a cache: + added, ~ updated with the fields that differ, - deleted.

    Two changes of one object within a moment are shown as one.
    """
    import msgspec

    from deltawire.cli.caches import cache_line, find_cache
    from deltawire.cli.changes import POLL_S, ChangeFeed, Patience, field_diffs
    from deltawire.cli.core import plan_of
    from deltawire.cli.freshness import FreshnessWatch, ask, words
    from deltawire.common.clock import SystemClock
    from deltawire.common.meta.keys import display_key

    clock = SystemClock()
    for_s = options.parse_for(for_)
    deadline_s = None if for_s is None else clock.now_s() + for_s
    plan = plan_of(config, store, core, key)
    found = find_cache(plan, type_, cluster)
    with found.cache:
        said = words(ask(plan), found.informer)
        say(cache_line(found, said))
        watch_freshness = FreshnessWatch(plan, found.informer, said, say)
        feed, patience = ChangeFeed(found.cache), Patience(say)
        try:
            while deadline_s is None or clock.now_s() < deadline_s:
                watch_freshness.turn(clock.now_s())
                for change in patience.poll(feed):
                    row = change.new or change.old
                    if row is None or (namespace and not row.key.startswith(f"{namespace}/")):
                        continue
                    sign = "-" if change.new is None else "+" if change.old is None else "~"
                    line = f"{sign} {found.resource.name} {display_key(row.key)} at {row.version}"
                    sys.stdout.write(line + "\n")
                    if change.old is not None and change.new is not None:
                        before, after = (
                            msgspec.json.decode(change.old.object),
                            msgspec.json.decode(row.object),
                        )
                        sys.stdout.writelines(f"    {diff}\n" for diff in field_diffs(before, after))
                sys.stdout.flush()
                clock.sleep(POLL_S)
        except KeyboardInterrupt:
            pass
    return 0

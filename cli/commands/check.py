"""``deltawire check``: is everything there that the pipeline needs?"""

import sys

from deltawire.cli.commands import options


def check(config: options.ConfigOption = None, store: options.StoreOption = None) -> int:
    """Check the config, the plug-in files, the clusters, the rights of each informer, and the state folder.

    One line for each; exit code 1 if anything is wrong.
    """
    from deltawire.cli import checks
    from deltawire.cli.config_source import effective, read, with_options
    from deltawire.cli.resource_names import with_resources
    from deltawire.common.config.plan import Plan
    from deltawire.common.config.schema import Config

    found = read(config)
    plan = Plan(effective(with_options(found or Config(version=1), store=store), with_resources))
    results = [checks.config_result(found is not None, plan), *checks.run(plan)]
    for result in results:
        sys.stdout.write(f"[{'ok' if result.is_ok else '!!'}] {result.what}: {result.text}\n")
        sys.stdout.flush()
    return 0 if all(result.is_ok for result in results) else 1

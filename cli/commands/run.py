"""``deltawire run``: plug-in files without a config."""

from pathlib import Path
from typing import Annotated

import typer

from deltawire.cli.commands import options


def run(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.py", help="Plug-in files; with --embedded also manifests.")
    ],
    context: Annotated[
        str | None, typer.Option("--context", metavar="C", help="The kubeconfig's context to use.")
    ] = None,
    namespace: options.NamespaceOption = None,
    all_namespaces: options.AllNamespacesOption = False,
    embedded: options.EmbeddedOption = False,
    for_: options.ForOption = None,
    as_json: options.JsonOption = False,
    metrics: options.MetricsOption = None,
    store: options.StoreOption = None,
    objects: options.ObjectsOption = None,
    churn: options.ChurnOption = None,
    controllers: options.ControllersOption = False,
    load: options.LoadOption = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Calls in the main thread of this process: for breakpoint().")
    ] = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="A changed file is a new process that takes over from the old one.")
    ] = False,
    log_level: options.LogLevelOption = "warning",
) -> int:
    """Run handlers without a config: what the decorators in the files name is watched.

    Without -n all namespaces are watched, as with -A.
    """
    from deltawire.cli import config_source, embedded_server, session
    from deltawire.cli.session import Reload
    from deltawire.common.config.schema import Config
    from deltawire.common.errors import ConfigError

    if namespace and all_namespaces:
        raise ConfigError("-n and -A contradict each other")
    if context and embedded:
        raise ConfigError("--context and --embedded contradict each other")
    if inline and reload:
        raise ConfigError("--inline runs the file in your terminal's process: --reload cannot replace it")
    if inline and (for_ or as_json):
        raise ConfigError("--inline ends with Ctrl-C: it goes with neither --for nor --json")
    files, manifests = embedded_server.split(files)
    server = embedded_server.of_flags(
        embedded, objects, churn, controllers=controllers, load=[*(load or []), *manifests]
    )
    if not files:
        raise ConfigError("no plug-in file is named", hint="deltawire run FILE.py manifests/ --embedded")

    def make() -> Config:
        found = config_source.of_plugins(files, namespace=namespace, context=context)
        return config_source.with_options(found, store=store, metrics=metrics)

    wanted = session.Session(
        make(),
        server=server,
        for_s=options.parse_for(for_),
        as_json=as_json,
        log_level=options.check_log_level(log_level),
        reload=Reload(files, make) if reload else None,
    )
    if inline:
        from deltawire.cli import inline as beside
        from deltawire.common.clock import SystemClock

        return beside.run(wanted, clock=SystemClock())
    return session.run(wanted)

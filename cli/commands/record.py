"""``deltawire record`` and ``deltawire replay``: events of a cluster in a file, and a handler that meets them again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deltawire.cli.commands import options

LINE_BYTES_MAX = 32 * 1024 * 1024


def record(
    types: Annotated[list[str], typer.Argument(metavar="TYPE", help="Resources, as kubectl names them.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to; must not exist.")],
    context: Annotated[
        str | None, typer.Option("--context", metavar="C", help="The kubeconfig's context to use.")
    ] = None,
    namespace: options.NamespaceOption = None,
    embedded: options.EmbeddedOption = False,
    for_: options.ForOption = None,
    store: options.StoreOption = None,
    objects: options.ObjectsOption = None,
    churn: options.ChurnOption = None,
    controllers: options.ControllersOption = False,
    load: options.LoadOption = None,
) -> int:
    """Write each event of some resources to a file, a JSON object a line, until Ctrl-C or the end of --for.

    The file holds whole objects, with all that is in them; Secrets are refused.
    """
    from deltawire.cli import config_source, embedded_server, session
    from deltawire.common.config.load import canonical
    from deltawire.common.config.schema import Cluster, Config, HandlerProcess, Informer
    from deltawire.common.errors import ConfigError

    if context and embedded:
        raise ConfigError("--context and --embedded contradict each other")
    if out.exists():
        raise ConfigError(f"{out} is there already", path="--out", hint="name a new file")
    server = embedded_server.of_flags(embedded, objects, churn, controllers=controllers, load=load)
    if any(canonical(one) == "secrets" for one in types):
        raise ConfigError("Secrets are not recorded: their values would be in the file")
    config = Config(
        version=1,
        clusters={"default": Cluster(context=context)} if context else {},
        informers=[Informer(resource=one, namespaces=[namespace] if namespace else []) for one in types],
        handlers=[
            HandlerProcess(
                name="record",
                command=[sys.executable, "-m", "deltawire.cli.recorder", str(out.resolve())],
                on=list(types),
                delivery="every",
                workers=1,
            )
        ],
    )
    config = config_source.with_options(config, store=store)
    out.touch(mode=0o600)
    return session.run(session.Session(config, server=server, for_s=options.parse_for(for_)))


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `record` wrote.")],
    plugin: Annotated[Path, typer.Argument(metavar="HANDLER.py", help="A plug-in file.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Which of the file's handlers.")
    ] = None,
    load: Annotated[
        list[Path] | None,
        typer.Option("--load", metavar="FILE", help="What ctx.client finds: manifests, definitions; repeatable."),
    ] = None,
) -> int:
    """Call a handler's functions for recorded events: in this process, one after another, at once, without a cluster.

    Time stands still but for what waits (`Requeue`, retries), which comes when all events have come. ctx.client writes
    to an API server in this process. Exit code 1 if an event ended in a failure.
    """
    from deltawire.cli.replay import Replay
    from deltawire.common.errors import ConfigError

    if not file.exists():
        raise ConfigError(f"there is no file {file}")
    with Replay(plugin, name, tuple(load or ())) as replayed:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if len(line) > LINE_BYTES_MAX:
                    raise ConfigError(f"{file}:{number} is longer than {LINE_BYTES_MAX} bytes")
                for text in replayed.take(line, f"{file}:{number}"):
                    sys.stdout.write(f"{text}\n")
        for text in replayed.finish():
            sys.stdout.write(f"{text}\n")
        sys.stdout.write(f"{replayed.summary}\n")
        return 1 if replayed.failures else 0

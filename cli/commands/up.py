"""``deltawire up``: all roles under a supervisor."""

from typing import TYPE_CHECKING

from deltawire.cli.commands import options

if TYPE_CHECKING:
    from deltawire.common.config.schema import Config


def up(
    config: options.ConfigOption = None,
    embedded: options.EmbeddedOption = False,
    for_: options.ForOption = None,
    as_json: options.JsonOption = False,
    metrics: options.MetricsOption = None,
    store: options.StoreOption = None,
    objects: options.ObjectsOption = None,
    churn: options.ChurnOption = None,
    controllers: options.ControllersOption = False,
    load: options.LoadOption = None,
    log_level: options.LogLevelOption = "warning",
) -> int:
    """Run the whole pipeline: reflectors, broker, informer workers and handlers, each a process of its own.

    What ends is started again. Ctrl-C finishes what is in flight and leaves; a second Ctrl-C kills. With
    --embedded and no config file a demo runs: no cluster is needed.
    """
    from deltawire.cli import config_source, embedded_server, session
    from deltawire.common.errors import ConfigError

    server = embedded_server.of_flags(embedded, objects, churn, controllers=controllers, load=load)
    found = config_source.read(config)
    if found is None and embedded:
        found = config_source.demo()
    if found is None:
        raise ConfigError(
            f"there is no {config_source.DEFAULT_FILE} here",
            hint="name a config with -c, or try `deltawire up --embedded`, which needs none",
        )

    def remake() -> "Config":
        return config_source.with_options(config_source.required(config), store=store, metrics=metrics)

    return session.run(
        session.Session(
            config_source.with_options(found, store=store, metrics=metrics),
            remake=remake,
            server=server,
            for_s=options.parse_for(for_),
            as_json=as_json,
            log_level=options.check_log_level(log_level),
        )
    )

"""``deltawire hub``: status and metrics of roles that something else starts."""

from deltawire.cli.commands import options


def hub(
    config: options.ConfigOption = None,
    metrics: options.MetricsOption = None,
    log_level: options.LogLevelOption = "info",
) -> int:
    """Answer `deltawire status` and serve /metrics where containers or another supervisor run the roles.

    Roles report to it if the config says `runtime: {control: true}`. It also makes the state folder, so start
    it first; the roles work on without it.
    """
    from deltawire.cli import config_source
    from deltawire.cli import hub as session

    options.check_log_level(log_level)
    found = config_source.with_options(config_source.required(config), metrics=metrics)
    return session.run(found, log_level=log_level)

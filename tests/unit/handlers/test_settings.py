"""What a group is run with: the config's word, then the plug-in's, then the defaults."""

from pathlib import Path

import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError, PluginError
from deltawire.common.process import RoleArguments
from deltawire.handlers import settings as defaults
from deltawire.handlers.api import Handler
from deltawire.handlers.main import HandlerRole, informers_of, new_client
from deltawire.handlers.settings import settle

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.1.2.3:6443"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


def plan_of(**handler):
    handler = {"name": "group", **handler}
    return Plan(parse({"version": 1, "clusters": {"dev": {}, "prod": {}}, "handlers": [handler]}))


def watching(*resources, **options):
    handler = Handler("h", **options)
    for resource in resources:
        handler.on_add(resource)(lambda obj: None)
    return handler


def test_defaults():
    got = settle(plan_of(run="x.py").config.handlers[0], Handler("h"))
    assert (got.name, got.delivery, got.workers, got.resync_s) == ("group", "latest", defaults.WORKERS, 0)
    assert (got.deadline_s, got.attempts_max) == (defaults.DEADLINE_S, defaults.ATTEMPTS_MAX)
    assert (got.window, got.window_bytes) == (256, 16 * 1024 * 1024)


def test_the_plugin_goes_before_the_defaults():
    plugin = Handler("h", delivery="every", workers=9, resync_s=60, deadline_s=0, attempts_max=0)
    got = settle(plan_of(run="x.py").config.handlers[0], plugin)
    assert (got.delivery, got.workers, got.resync_s) == ("every", 9, 60)
    assert (got.deadline_s, got.attempts_max) == (0, 0)


def test_the_config_goes_before_the_plugin():
    plugin = Handler("h", delivery="every", workers=9, resync_s=60, deadline_s=7, attempts_max=7)
    options = {"delivery": "latest", "workers": 1, "resync": "5s", "deadline": "1m", "attempts_max": 2}
    got = settle(plan_of(run="x.py", **options).config.handlers[0], plugin)
    assert (got.delivery, got.workers, got.resync_s) == ("latest", 1, 5)
    assert (got.deadline_s, got.attempts_max) == (60, 2)


@pytest.mark.parametrize(
    "on, expected",
    [
        ([], ["dev/deployments.apps", "dev/pods"]),
        (["pods"], ["dev/pods", "dev/deployments.apps"]),
        ([{"resource": "po", "cluster": "prod"}], ["prod/pods", "dev/deployments.apps"]),
        ([{"resource": "nodes", "verbs": []}], ["dev/deployments.apps", "dev/pods"]),
    ],
)
def test_a_plugin_gets_what_it_watches_where_the_config_says(on, expected):
    group = plan_of(run="x.py", on=on).handlers["group"]
    assert informers_of(group, watching("pods", "deploy"), ["dev"]) == expected


def test_a_command_gets_what_the_config_says():
    group = plan_of(command=["x"], on=["po", "deploy"]).handlers["group"]
    assert informers_of(group, None, ["dev"]) == ["dev/pods", "dev/deployments.apps"]


def test_an_unknown_group_is_one_line():
    with pytest.raises(ConfigError, match=r"no handler named 'other' \(handlers: group\)"):
        HandlerRole(RoleArguments(config=Path("x"), handler="other"), plan_of(command=["x"], on=["pods"]))


def test_a_faulty_plugin_is_found_before_anything_is_opened(tmp_path):
    (tmp_path / "bad.py").write_text("1 +\n")
    with pytest.raises(PluginError, match=r"bad\.py:1: syntax error"):
        HandlerRole(RoleArguments(config=Path("x"), handler="group"), plan_of(run=str(tmp_path / "bad.py")))


def test_the_client_is_of_the_events_cluster(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    plan = Plan(parse({"version": 1, "clusters": {"dev": {"kubeconfig": str(path), "context": "x"}}}))
    assert new_client(plan, "dev").config.host == "https://10.1.2.3:6443"

"""The config's ``network``: what is refused, with the field's path."""

from typing import Any

import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError


def config(**network: Any) -> Any:
    return {"version": 1, "network": network}


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (
            {"endpoints": {"fifo": "127.0.0.1:1"}},
            "network.endpoints.fifo: there is no such socket .fifo-in, fifo-out",
        ),
        ({"endpoints": {"worker-2": "127.0.0.1:1"}}, "network.endpoints.worker-2: there is no such socket"),
        ({"endpoints": {"control": "127.0.0.1"}}, "'127.0.0.1' is not HOST:PORT"),
        ({"endpoints": {"control": "a:70000"}}, "'a:70000' is not HOST:PORT"),
        ({"endpoints": {"control": ":80"}}, "':80' is not HOST:PORT"),
        ({"endpoints": {"control": "http://core:80"}}, "'http://core:80' is not HOST:PORT"),
        ({"endpoints": {"control": "a b:80"}}, "'a b:80' is not HOST:PORT"),
        ({"endpoints": {"control": "*:80"}}, r"'\*:80' is not HOST:PORT"),
        ({"endpoints": {"control": "eth0;core:80"}}, "'eth0;core:80' is not HOST:PORT"),
        ({"endpoints": {"control": "::1:80"}}, "'::1:80' is not HOST:PORT"),
        ({"endpoints": {"control": "[core]:80"}}, r"'\[core\]:80' is not HOST:PORT"),
        ({"endpoints": {"control": "core:٣"}}, "is not HOST:PORT"),
        ({"endpoints": {"control": f"core:{'9' * 5000}"}}, "is not HOST:PORT"),
        (
            {"endpoints": {"control": "core:7400"}},
            "core:7400 can be reached from other hosts, and there are no keys",
        ),
        ({"endpoints": {"control": "10.0.0.1:7400"}}, "there are no keys .name a folder in network.keys"),
        (
            {"endpoints": {"fifo-in": "127.0.0.1:1", "fifo-out": "127.0.0.1:1"}},
            "127.0.0.1:1 is the address of fifo-in already",
        ),
        ({"listen": "core"}, "network.listen: 'core' is not an IP address"),
        ({"listen": "0.0.0.0"}, "network.listen: other hosts could connect, and there are no keys"),  # noqa: S104  # a config that is refused
    ],
)
def test_what_cannot_be_is_refused(network: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(config(**network))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_on_loopback_tcp_needs_no_keys(host: str) -> None:
    plan = Plan(parse(config(endpoints={"control": f"{host}:7400"})))
    assert plan.endpoint("control") == f"tcp://{host}:7400"
    assert plan.endpoint("fifo-in").startswith("ipc://")

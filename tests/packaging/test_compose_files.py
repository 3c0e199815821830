"""What the compose files and the image promise, read from the files alone. On an engine: deploy/container-test.sh."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan

ROOT = Path(__file__).parents[2]
REAL = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
DEMO = yaml.safe_load((ROOT / "compose.override.yaml").read_text())["services"]
WHOLE = {**REAL, "apiserver": DEMO["apiserver"]}
PLAN = Plan(load(ROOT / "deploy" / "deltawire.yaml"))

# Words that Compose 1.29 or v2 does not know, or that stop a service from being scaled.
UNUSABLE = {"profiles", "required", "container_name", "start_interval"}


def keys(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return set(tree) | {key for value in tree.values() for key in keys(value)}
    if isinstance(tree, list):
        return {key for value in tree for key in keys(value)}
    return set()


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Source by target. A default like ${NAME:-/dev/null} holds a colon of its own."""
    found = {}
    for text in service.get("volumes", []):
        source, target = text.removesuffix(":ro").rsplit(":", 1)
        found[target] = source
    return found


@pytest.mark.parametrize("service", WHOLE)
def test_every_service_is_confined_bounded_checked_and_started_again(service: str) -> None:
    found = WHOLE[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert "user" not in found, "the image says who runs it"
    assert found["restart"] == "unless-stopped"
    assert found["healthcheck"]["test"]
    assert {"mem_limit", "cpus", "pids_limit"} <= found.keys()
    assert found["logging"]["options"]["max-size"], "an engine keeps logs without a bound"


def test_no_service_depends_on_another_to_stay_alive() -> None:
    for found in WHOLE.values():
        assert "pid" not in found
        assert "ipc" not in found
        assert found.get("network_mode", "none") == "none"


def test_both_generations_of_compose_know_every_word() -> None:
    for name in ("compose.yaml", "compose.override.yaml"):
        text = (ROOT / name).read_text()
        assert "!reset" not in text
        assert not keys(yaml.safe_load(text)) & UNUSABLE


def test_what_is_published_is_on_loopback() -> None:
    ports = [port for found in WHOLE.values() for port in found.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_services_are_the_processes_of_the_config() -> None:
    runtime = PLAN.config.runtime
    expected = {"hub", "fifo", *PLAN.handlers}
    expected |= {f"reflector-{i}" for i in range(runtime.reflectors)}
    expected |= {f"worker-{i}" for i in range(runtime.workers)}
    assert set(REAL) == expected
    assert set(DEMO) == {"apiserver", "reflector-0", "reflector-1"}


def test_all_share_the_sockets_and_only_workers_and_hub_the_state() -> None:
    for service, found in REAL.items():
        assert mounts(found)[str(PLAN.runtime_dir)] == "sockets"
        has_state = str(PLAN.store_dir) in mounts(found)
        assert has_state == (service == "hub" or service.startswith("worker-"))


def test_only_reflectors_get_the_kubeconfig_and_the_demo_gives_them_none() -> None:
    for service, found in REAL.items():
        assert ("/run/kubeconfig" in mounts(found)) == service.startswith("reflector-")
    for service in ("reflector-0", "reflector-1"):
        assert mounts(DEMO[service])["/run/kubeconfig"] == "/dev/null"


def test_health_decides_the_order_of_the_start() -> None:
    for service, found in {**REAL, **DEMO}.items():
        waits = found.get("depends_on", {})
        assert all(wait == {"condition": "service_healthy"} for wait in waits.values())
        if service.startswith("worker-"):
            assert set(waits) == {"fifo"}
        if service in PLAN.handlers:
            assert set(waits) == {"worker-0", "worker-1"}


def test_the_health_checks_look_at_the_file_that_the_config_names() -> None:
    path = PLAN.config.runtime.health
    assert path is not None
    assert path in (ROOT / "Dockerfile").read_text()
    for service, found in REAL.items():
        assert path in found["healthcheck"]["test"][-1], service


def test_the_image_runs_its_role_under_a_watching_parent_and_not_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert 'ENTRYPOINT ["deltawire-watch"]' in final
    assert "USER deltawire" in final
    assert not [line for line in final if "apt-get" in line or "pip" in line]

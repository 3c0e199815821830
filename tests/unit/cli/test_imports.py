"""What a process does not need it does not load: each import is paid at every start, by every process."""

import subprocess
import sys

import pytest

ROLES = ["reflector", "fifo", "informer", "handlers"]


def loaded(module: str) -> set[str]:
    """The top-level modules in memory after importing ``module`` in a fresh process."""
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_loads_neither_typer_nor_rich(role: str) -> None:
    assert loaded(f"deltawire.{role}.main") & {"typer", "rich", "prometheus_client", "aiohttp"} == set()


def test_up_begins_without_what_other_commands_need() -> None:
    assert loaded("deltawire.cli.session") & {"requests", "rich", "prometheus_client", "aiohttp"} == set()


def test_help_and_the_commands_names_cost_only_typer() -> None:
    assert (
        loaded("deltawire.cli.main") & {"requests", "zmq", "lmdb", "yaml", "prometheus_client", "aiohttp"}
        == set()
    )

"""What a process does not need it does not load: each import is paid at every start, by every process."""

import subprocess
import sys

import pytest

ROLES = ["reflector", "fifo", "informer", "handlers"]


def loaded(module: str) -> set[str]:
    """The modules in memory after importing ``module`` in a fresh process, by their whole names."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_loads_neither_typer_nor_rich(role: str) -> None:
    assert loaded(f"deltawire.{role}.main") & {"typer", "rich", "prometheus_client", "aiohttp"} == set()


def test_no_command_loads_pydantic() -> None:
    """With typer 0.29 it would, for 0.1 s: requirements/runtime.in names an older one."""
    code = "import sys; from deltawire.cli.main import app; app(standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "get", "--help"], capture_output=True, text=True, check=True
    )
    assert "typer" in done.stdout.split()
    assert "pydantic" not in done.stdout.split()


@pytest.mark.parametrize("module", ["deltawire.cli.view.status", "deltawire.cli.commands.kill"])
def test_a_status_that_is_printed_needs_no_supervisor(module: str) -> None:
    assert "deltawire.cli.supervisor.machine" not in loaded(module)


def test_a_supervisor_loads_no_broker() -> None:
    assert "deltawire.fifo.broker" not in loaded("deltawire.cli.supervisor.supervisor")


def test_up_begins_without_what_other_commands_need() -> None:
    assert loaded("deltawire.cli.session") & {"requests", "rich", "prometheus_client", "aiohttp"} == set()


def test_help_and_the_commands_names_cost_only_typer() -> None:
    assert (
        loaded("deltawire.cli.main") & {"requests", "zmq", "lmdb", "yaml", "prometheus_client", "aiohttp"}
        == set()
    )

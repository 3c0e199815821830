"""Faults of an embedded API server, set from a shell."""

from pathlib import Path

import requests

from deltawire.apiserver.server import ApiServer
from tests.support.cli_rig import Cli

PODS = "/api/v1/pods"


def test_a_fault_is_set_met_listed_and_cleared(
    api_server: ApiServer, kubeconfig: Path, tmp_path: Path
) -> None:
    cli, where = Cli(tmp_path), ("--kubeconfig", str(kubeconfig))
    made = cli.run(
        "faults", "set", "error", "503", "--resource", "pods", "--verb", "list", "--count", "2", *where
    )
    assert (made.code, made.out) == (0, "1\n")
    assert requests.get(api_server.url + PODS, timeout=20).status_code == 503
    listed = cli.run("faults", "list", *where)
    assert listed.out.splitlines()[1].split() == ["1", "error", "503", "pods", "list", "*", "*", "1", "1"]
    assert cli.run("faults", "clear", "1", *where).out == "1 cleared\n"
    assert requests.get(api_server.url + PODS, timeout=20).status_code == 200
    assert (cli.run("faults", "list", *where).err, cli.run("faults", "clear", "9", *where).code) == (
        "No faults.\n",
        1,
    )


def test_a_mistake_is_told_in_one_line(api_server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    cli, where = Cli(tmp_path), ("--kubeconfig", str(kubeconfig))
    for arguments, said in (
        (("fly",), "unknown fault 'fly': one of "),
        (("error", "302"), "302 is not an HTTP code from 400 to 599"),
        (("drop", "--resource", "nosuch"), "nosuch"),
    ):
        ended = cli.run("faults", "set", *arguments, *where)
        assert ended.code == 1
        assert ended.err.startswith("deltawire: ")
        assert said in ended.err
        assert ended.err.count("\n") == 1
    api_server.stop()
    assert "is the API server running?" in cli.run("faults", "list", *where).err

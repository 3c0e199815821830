"""A user's mistake is one line that says what, where and what to do, and exit code 2; nothing is left behind."""

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_rig import PLUGIN, Cli, cli_in
from tests.support.pipeline import DELTAWIRE


@pytest.fixture
def cli() -> Iterator[Cli]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        yield from cli_in(Path(folder).resolve())


def refused(cli: Cli, *arguments: str) -> str:
    ended = cli.run(*arguments)
    lines = ended.err.strip().splitlines()
    assert ended.code == 2, ended
    assert len(lines) == 1, ended.err
    assert ended.out == ""
    assert cli.processes() == []
    return lines[0]


CONFIGS = [
    ("version: 1\nstore: {shard: 3}\n", ["store.shard: unknown key", "did you mean 'shards'?"]),
    ("version: 2\n", ["version"]),
    ("{", ["deltawire.yaml line 1 is not YAML"]),
    ("version: 1\ninformers: [{resource: pods, cluster: nope}]\n", ["informers[0].cluster", "'nope'"]),
    ("version: 1\ninformers: [{resource: secrets}]\n", ["informers[0].secrets", "keep, hash or drop"]),
    ("version: 1\nhandlers: [{name: a}]\n", ["handlers[0]", "exactly one of `run`"]),
    ("version: 1\nhandlers: [{name: a, replicas: 0}]\n", ["handlers[0].on", "started elsewhere"]),
    ("version: 1\nhandlers: [{name: a, run: none.py}]\n", ["none.py"]),
    (
        "version: 1\nhandlers: [{name: a, command: [no-such-tool], on: [pods]}]\n",
        ["no command 'no-such-tool'"],
    ),
    (
        "version: 1\nclusters: {c: {kubeconfig: gone}}\ninformers: [{resource: pods}]\n",
        ["no kubeconfig", "gone"],
    ),
    ("version: 1\nmetrics: {listen: '0.0.0.0:80'}\n", ["metrics.listen", "not a loopback address"]),
]


@pytest.mark.parametrize(("text", "said"), CONFIGS, ids=[said[0] for _, said in CONFIGS])
def test_a_wrong_config_is_told_by_field(cli: Cli, text: str, said: list[str]) -> None:
    (cli.folder / "deltawire.yaml").write_text(text)
    line = refused(cli, "up")
    for words in said:
        assert words in line


PLUGINS = [
    ("def f(:\n", "plugin.py:1: syntax error"),
    ("raise ValueError('no such thing')\n", "no such thing"),
    (PLUGIN.replace("obj, event", "a, b, c, d, e"), "added"),
    ("x = 1\n", "plugin.py"),
    (PLUGIN.replace('"pods"', '"secrets"'), "secrets: keep, hash or drop"),
]


@pytest.mark.parametrize(
    ("source", "said"),
    PLUGINS,
    ids=["syntax error", "raises on import", "wrong signature", "no handler", "secrets"],
)
def test_a_faulty_plugin_is_told_before_anything_runs(cli: Cli, source: str, said: str) -> None:
    (cli.folder / "plugin.py").write_text(source)
    assert said in refused(cli, "run", "plugin.py")


KUBECONFIG = """
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
"""
ENV_PLUGIN = "import os\nRESOURCE = os.environ['WHAT_TO_WATCH']\n" + PLUGIN.replace('"pods"', "RESOURCE")
ENV_CONFIG = """
version: 1
handlers:
  - {name: a, run: plugin.py, env: {WHAT_TO_WATCH: pods}}
  - {name: b, run: plugin.py, env: {WHAT_TO_WATCH: nodes}}
"""


def test_a_handlers_env_is_there_when_its_file_is_described(cli: Cli) -> None:
    """Each entry has an environment of its own, and may watch something else in it."""
    (cli.folder / "plugin.py").write_text(ENV_PLUGIN)
    (cli.folder / "deltawire.yaml").write_text(ENV_CONFIG)
    ended = cli.run("check")
    assert "2 informers, 2 handlers" in ended.out, ended
    done = cli.run("up", "--embedded", "--objects", "pods=5", "--for", "1s", "--json")
    assert done.code == 0, done


def test_no_config_says_what_to_do(cli: Cli) -> None:
    assert "deltawire up --embedded" in refused(cli, "up")


NOTHING_THERE = {
    "rbac": ["there is no deltawire.yaml here (name a config with -c)"],
    "relist pods": ["no `deltawire up` runs"],
    "backup some.file": ["is not a state folder of deltawire", "deltawire up"],
    "restore none.file": ["none.file cannot be read: No such file"],
    "trace pods/web": ["no informer on pods", "name the config with -c"],
    "faults list": ["no API server is known here", "--kubeconfig FILE"],
}


@pytest.mark.parametrize("command", NOTHING_THERE)
def test_where_nothing_runs_a_command_says_what_it_needs(cli: Cli, command: str) -> None:
    ended = cli.run(*command.split())
    assert ended.code != 0, ended
    assert all(said in ended.err for said in NOTHING_THERE[command]), ended
    assert len(ended.err.strip().splitlines()) == 1, ended


def test_a_folder_of_somebody_else_is_not_touched(cli: Cli) -> None:
    (cli.folder / "plugin.py").write_text(PLUGIN)
    (cli.folder / "other").mkdir()
    (cli.folder / "other" / "thesis.txt").write_text("years of work")
    line = refused(cli, "run", "plugin.py", "--store", "other")
    assert "is not a state folder of deltawire: it holds 'thesis.txt'" in line
    assert [p.name for p in (cli.folder / "other").iterdir()] in (
        [["thesis.txt"], ["prepare.lock", "thesis.txt"], ["thesis.txt", "prepare.lock"]]
    )


def test_a_metrics_port_in_use_is_named(cli: Cli) -> None:
    (cli.folder / "plugin.py").write_text(PLUGIN)
    (cli.folder / ".kube").mkdir()
    (cli.folder / ".kube" / "config").write_text(KUBECONFIG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refused(cli, "run", "plugin.py", "--metrics", address)
    assert f"cannot listen on {address}" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--embedded", "--for", "soon"), "--for: 'soon' is not a duration"),
        (("up", "--embedded", "--log-level", "loud"), "'loud' is not a log level"),
        (("run", "gone.py"), "there is no file gone.py"),
        (("get", "pods"), "is not a state folder of deltawire"),
        (("get", "pods", "-o", "tabel"), "'tabel' is not an output format"),
        (("reflector", "-c", "gone.yaml"), "gone.yaml"),
        (("trace", "pods"), "is not TYPE/NAME"),
    ],
)
def test_a_wrong_argument_is_told(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(cli, *arguments)


@pytest.mark.parametrize("arguments", [("kill", "fifo"), ("handlers", "list"), ("dead-letters", "list")])
def test_what_needs_a_running_pipeline_says_so(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli.run(*arguments)
    assert ended.code == 1
    assert "no `deltawire up` runs on the state folder" in ended.err


def test_status_without_a_pipeline_shows_the_folder_and_fails(cli: Cli) -> None:
    ended = cli.run("status")
    assert ended.code == 1
    assert "holds no caches" in ended.out


def test_help_names_every_command(cli: Cli) -> None:
    ended = cli.run("--help")
    assert ended.code == 0
    for command in (
        "up",
        "run",
        "apiserver",
        "get",
        "tail",
        "trace",
        "status",
        "check",
        "kill",
        "dead-letters",
        "faults",
    ):
        assert f" {command} " in ended.out


def test_a_state_folder_of_a_newer_version_is_refused_before_anything_starts(cli: Cli) -> None:
    (cli.folder / "plugin.py").write_text(PLUGIN)
    store = cli.folder / "state"
    shard = store / "c1" / "pods" / "00000001" / "shard-2"
    shard.mkdir(parents=True)
    (shard / "written.json").write_text('{"boot_id": "b", "clean": true, "schema": 99}')
    (store / "deltawire.json").write_text('{"schema": 1, "shards": 4}')
    line = refused(cli, "run", "plugin.py", "--store", "state")
    assert "shard-2 was written in schema 99, this program reads 2" in line
    assert "use the version that wrote it" in line


def test_an_output_that_is_full_is_one_line(cli: Cli) -> None:
    (cli.folder / "deltawire.yaml").write_text(
        "version: 1\nclusters: {dev: {}}\ninformers: [{resource: pods}]\n"
    )
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [DELTAWIRE, "rbac"],
            cwd=cli.folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        1, "deltawire: the output cannot be written: No space left on device\n",
    )  # fmt: skip

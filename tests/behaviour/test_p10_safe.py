"""P10 Safe: nothing is unpickled or evaluated, sizes are checked on both sides, secrets stay where they are."""

import ast
import logging
import stat
from pathlib import Path

import msgpack
import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError, ConfigError, ProtocolError
from deltawire.common.limits import MESSAGE_BYTES_MAX
from deltawire.common.store.folder import hold
from deltawire.common.wire import codec
from deltawire.reflector.transform import trimmer
from tests.support.shard_rig import ShardRig

ROOT = Path(__file__).parents[2]
ROOMS = ("apiserver", "cli", "client", "common", "fifo", "handlers", "informer", "jetstream", "reflector")
FORBIDDEN_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen"}
FORBIDDEN_METHODS = {"recv_pyobj", "send_pyobj"}
# The handler file that the config names is run as Python runs any file.
ALLOWED = ["handlers/loader.py: exec"]
SECRET = b'{"kind":"Secret","metadata":{"name":"s","namespace":"a"},"data":{"password":"aHVudGVyMg=="}}'


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    found = []
    for path in (p for room in ROOMS for p in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = set()
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN_MODULES
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]} & FORBIDDEN_MODULES
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                names = {called} & FORBIDDEN_CALLS | {called.rpartition(".")[2]} & FORBIDDEN_METHODS
                if any(k.arg == "shell" and getattr(k.value, "value", True) for k in node.keywords):
                    names = {"shell=True"}
            found += [f"{path.relative_to(ROOT)}: {name}" for name in names]
    assert found == ALLOWED


def test_a_message_over_the_bound_is_refused_on_both_sides():
    with pytest.raises(CapacityError):
        codec.encode(codec.plain("deltas", b"x" * MESSAGE_BYTES_MAX))
    with pytest.raises(ProtocolError):
        codec.unpack(msgpack.packb([codec.WIRE_VERSION, 1, 1, [["deltas", b"x" * (MESSAGE_BYTES_MAX + 64)]]]))


@pytest.mark.parametrize("version", [0, codec.WIRE_VERSION + 1, "1", None])
def test_a_message_of_another_wire_version_is_refused(version):
    with pytest.raises(ProtocolError, match="wire version"):
        codec.unpack(msgpack.packb([version, 1, 0, [["beat"]]]))


def test_state_belongs_to_its_owner_alone(tmp_path):
    hold(tmp_path / "state").close()
    rig = ShardRig(tmp_path / "state" / "shard")
    rig.shard.close(clean=False)
    for path in (tmp_path / "state").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not path.is_dir() or mode == 0o700, f"{path} is {mode:o}"
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "shard" / "data.mdb").stat().st_mode) == 0o600


def test_no_credential_is_shown_by_what_holds_it(caplog):
    config = ClientConfig(
        host="https://dev:hunter2@h:6443", token="hunter2", password="hunter2", key_data=b"hunter2"
    )
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").info("%r %s", config, config)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "config",
    [
        {"version": 1, "informers": [{"resource": "secrets"}]},
        {"version": 1, "handlers": [{"name": "h", "command": ["cat"], "on": ["secrets"]}]},
    ],
)
def test_secrets_are_cached_only_where_the_config_says_how(config):
    with pytest.raises(ConfigError, match="secrets"):
        _ = Plan(parse(config)).informers


@pytest.mark.parametrize("how", ["hash", "drop"])
def test_no_secrets_value_leaves_the_reflector(how):
    trim = trimmer(secrets=how)
    assert b"aHVudGVyMg==" not in trim(SECRET)

"""Files of keys: what is read, and every refusal says where and what to do."""

import os
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.errors import ConfigError
from deltawire.common.wire.gate import answer
from deltawire.common.wire.guard import SESSIONS_MAX, Guard
from deltawire.common.wire.keys import (
    Allowed,
    KeyFolder,
    Secret,
    new_secret,
    owner_of_socket,
    parse_allowed,
    parse_owner,
)
from deltawire.common.wire.session import Peer
from tests.support.keyed import make_keys

# Fixed: names of tests are the same in each process.
PAIR = Secret("^U+J-wy=Q!OUfdkIcH5?<X8+ct&eskTd-6S0?r>8", "I:zov7mb$/CrG+7<zU=Rx/9Cp-c1GjQmMCS:6Oe>")
KEY, OTHER = PAIR.public, "/sih9&4@ErauyyfNG6RYW:@5-yw8:E3#.oc=:3ZU"


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [
        Allowed("fifo", KEY),
        Allowed("handler/alerts", OTHER, frozenset({"main/pods", "main/nodes"})),
    ]
    folder = KeyFolder(tmp_path / "keys")
    assert folder.allowed() == []
    folder.allow(entries)
    assert folder.allowed() == entries


def test_a_secret_is_kept_for_its_user_alone(tmp_path: Path) -> None:
    folder, pair = KeyFolder(tmp_path / "keys"), new_secret()
    folder.keep_secret("handler/alerts", pair)
    assert folder.secret("handler/alerts") == pair
    path = folder.secret_path("handler/alerts")
    assert (path.name, path.stat().st_mode & 0o777) == ("handler.alerts.secret", 0o600)
    assert folder.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fifo", "line 2: a line is OWNER PUBLIC-KEY"),
        (f"fifo {KEY} a b", "line 2: a line is OWNER PUBLIC-KEY"),
        (f"king {KEY}", "line 2: 'king' cannot own a key .an owner is fifo"),
        (f"handler/ {KEY}", "'handler/' cannot own a key"),
        (f"worker-x {KEY}", "'worker-x' cannot own a key"),
        ("fifo abc", "line 2: the key of fifo is not one: a public key has 40 characters"),
        (f"fifo {KEY[:-1]}~", "the key of fifo is not one"),
        (f"fifo {KEY} informers=main/pods", "only handlers and readers have informers"),
        (f"handler/a {KEY} readers=x", "'readers=x' is not known here"),
        (f"control {KEY}\nfifo {KEY}", "line 3: the key of control again: a key has one owner"),
    ],
)
def test_a_line_that_breaks_the_rules_is_named(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_allowed(f"# a comment\n{line}\n", "keys/allowed")


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "has no key here .`deltawire keys new fifo` makes one"),
        ("", 0o600, "is no pair of keys .`deltawire keys rotate fifo`"),
        (f"{KEY}\n{OTHER}\n", 0o600, "is no pair of keys"),
        ("a b c", 0o600, "is no pair of keys"),
        ("\n".join(PAIR), 0o644, "can be read by everybody .chmod 600"),
    ],
)
def test_a_secret_that_cannot_be_used_is_one_clear_error(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    folder = KeyFolder(tmp_path)
    if content is not None:
        folder.secret_path("fifo").write_text(content)
        folder.secret_path("fifo").chmod(mode)
    with pytest.raises(ConfigError, match=says):
        folder.secret("fifo")


def test_errors_never_show_a_secret(tmp_path: Path) -> None:
    folder, pair = KeyFolder(tmp_path), new_secret()
    folder.secret_path("fifo").write_text(f"{OTHER}\n{pair.secret}\n")
    folder.secret_path("fifo").chmod(0o600)
    with pytest.raises(ConfigError) as error:
        folder.secret("fifo")
    assert pair.secret not in str(error.value)


@pytest.mark.parametrize(
    "owner", ["fifo", "control", "reflector-0", "worker-63", "handler/a-b", "cli", "cli/me"]
)
def test_these_own_keys(owner: str) -> None:
    assert parse_owner(owner) == owner


def test_a_socket_belongs_to_the_role_that_binds_it() -> None:
    assert [owner_of_socket(s) for s in ("fifo-in", "fifo-out", "worker-1", "control")] == [
        "fifo", "fifo", "worker-1", "control",
    ]  # fmt: skip


def test_a_list_that_turns_bad_leaves_the_keys_as_they_were(tmp_path: Path) -> None:
    folder = make_keys(tmp_path, ["worker-0", "handler/alerts"])
    guard = Guard("worker-0", folder)
    key = folder.secret("handler/alerts").public
    (tmp_path / "allowed").write_text("what?\n")
    assert guard.look() is None
    assert guard.admit(key, "10.0.0.1", 0.0)


def test_lines_about_refusals_are_bounded_and_all_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard("worker-0", make_keys(tmp_path, ["worker-0"]))
    for _ in range(500):
        assert not guard.admit(OTHER, "10.0.0.1", 1.0)
    assert guard.refused == 500
    assert len(caplog.records) == 20
    assert "worker-0: refused 10.0.0.1: its key" in caplog.text


def test_a_key_that_connects_in_a_loop_gets_ten_lines_a_minute_and_then_how_many_were_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "deltawire.audit")
    folder = make_keys(tmp_path, ["worker-0", "handler/alerts", "handler/sync"])
    guard = Guard("worker-0", folder)
    key, quiet = (folder.secret(f"handler/{name}").public for name in ("alerts", "sync"))
    assert all(guard.admit(key, "10.0.0.1", 1.0) for _ in range(500))
    assert len(caplog.records) == 10
    assert caplog.records[-1].getMessage().endswith("(more within 60 s are only counted)")
    assert guard.admit(quiet, "10.0.0.2", 1.0)
    assert len(caplog.records) == 11
    assert guard.admit(key, "10.0.0.1", 62.0)
    assert "(490 lines like this one were left out before)" in caplog.records[-1].getMessage()


QUESTION = [b"1.0", b"7", b"worker-0", b"10.0.0.1", b"", b"CURVE", b"k" * 32]


@pytest.mark.parametrize(
    "parts",
    [
        [b"1.0"],
        QUESTION[:-1],
        [b"9.9", *QUESTION[1:]],
        [*QUESTION[:2], b"elsewhere", *QUESTION[3:]],
        [*QUESTION[:5], b"NULL", QUESTION[6]],
        [*QUESTION[:5], b"PLAIN", QUESTION[6]],
        QUESTION,
    ],
)
def test_a_question_that_cannot_be_answered_with_yes_is_answered_with_no(
    tmp_path: Path, parts: list[bytes]
) -> None:
    guard = Guard("worker-0", make_keys(tmp_path, ["worker-0"]))
    reply = answer(parts, {"worker-0": guard}, 0.0)
    assert reply[2] == b"400"
    assert reply[4] == b""


def test_a_key_that_is_out_of_the_range_of_z85_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="line 1: the key of fifo is not one"):
        parse_allowed(f"fifo {'#' * 40}\n", "keys/allowed")


def test_a_new_public_key_is_no_option_of_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = iter([(b"-" + KEY[1:].encode(), b"x"), (KEY.encode(), PAIR.secret.encode())])
    monkeypatch.setattr("deltawire.common.wire.keys.zmq.curve_keypair", lambda: next(pairs))
    assert new_secret() == PAIR


def test_a_file_that_keeps_the_time_and_size_of_the_former_one_is_seen(tmp_path: Path) -> None:
    folder = make_keys(tmp_path, ["worker-0"])
    path = tmp_path / "allowed"
    before, found = folder.stamp("worker-0"), path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert folder.stamp("worker-0") != before


def test_a_list_and_secrets_that_are_links_as_kubernetes_mounts_them_are_seen_to_change(tmp_path: Path) -> None:
    make_keys(tmp_path / "..1", ["worker-0", "handler/alerts"])
    (tmp_path / "..data").symlink_to("..1")
    for file in (tmp_path / "..1").iterdir():
        (tmp_path / file.name).symlink_to(f"..data/{file.name}")
    guard = Guard("worker-0", KeyFolder(tmp_path))
    assert guard.look() is None
    own = make_keys(tmp_path / "..2", ["worker-0"]).secret("worker-0").public
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    change = guard.look()
    assert change is not None
    assert change.is_own_new
    assert KeyFolder(tmp_path).secret("worker-0").public == own


def test_a_list_with_ends_of_lines_of_another_system_is_read(tmp_path: Path) -> None:
    (tmp_path / "allowed").write_bytes(f"# a comment\r\nfifo {KEY}\r\n\r\n".encode())
    assert KeyFolder(tmp_path).allowed() == [Allowed("fifo", KEY)]


def hello(**body: Any) -> Peer:
    return Peer(b"alerts-0.1", "handler", "alerts-0", "1", 1, 1, "", {"group": "alerts", **body})


@pytest.mark.parametrize("wanted", [[["main/pods"]], [{}], ["main/pods", 7], [None]])
def test_a_hello_whose_informers_are_no_names_is_refused_and_harms_nobody(tmp_path: Path, wanted: Any) -> None:
    folder = make_keys(tmp_path, ["worker-0"])
    folder.allow([*folder.allowed(), Allowed("handler/alerts", KEY, frozenset({"main/pods"}))])
    assert "its key may not read" in Guard("worker-0", folder).objection(KEY, hello(informers=wanted))


def test_one_owner_has_a_bounded_number_of_sessions(tmp_path: Path) -> None:
    guard = Guard("worker-0", make_keys(tmp_path, ["worker-0", "handler/alerts", "handler/audit"]))
    keys = {entry.owner: entry.key for entry in KeyFolder(tmp_path).allowed()}
    peer = hello(informers=[])
    for number in range(SESSIONS_MAX):
        assert guard.objection(keys["handler/alerts"], peer) == ""
        guard.opens(keys["handler/alerts"], b"alerts-0.%d" % (number + 100))
    assert guard.objection(keys["handler/alerts"], peer) == f"handler/alerts has {SESSIONS_MAX} sessions here"
    other = Peer(b"audit-0.1", "handler", "audit-0", "1", 1, 1, "", {"group": "audit", "informers": []})
    assert guard.objection(keys["handler/audit"], other) == ""
    guard.ends(b"alerts-0.100")
    assert guard.objection(keys["handler/alerts"], peer) == ""


def test_a_secret_that_is_missing_keeps_no_key_allowed(tmp_path: Path) -> None:
    folder = make_keys(tmp_path, ["worker-0", "handler/alerts"])
    guard = Guard("worker-0", folder)
    key = folder.secret("handler/alerts").public
    guard.opens(key, b"alerts-0.1")
    folder.secret_path("worker-0").unlink()
    assert guard.look() is None
    folder.allow([entry for entry in folder.allowed() if entry.key != key])
    change = guard.look()
    assert change is not None
    assert change.revoked == [b"alerts-0.1"]
    assert not guard.admit(key, "10.0.0.1", 0.0)


def test_a_key_that_is_another_owners_now_or_may_read_less_loses_its_session(tmp_path: Path) -> None:
    folder = make_keys(tmp_path, ["worker-0"])
    own = folder.allowed()
    folder.allow([*own, Allowed("handler/alerts", KEY), Allowed("handler/audit", OTHER)])
    guard = Guard("worker-0", folder)
    guard.opens(KEY, b"alerts-0.1")
    guard.opens(OTHER, b"audit-0.1")
    folder.allow([*own, Allowed("handler/alerts", KEY, frozenset({"main/nodes"})), Allowed("handler/x", OTHER)])
    change = guard.look()
    assert change is not None
    assert (change.limited, change.revoked) == ([b"alerts-0.1"], [b"audit-0.1"])

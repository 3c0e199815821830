"""What a key may ask of the supervisor, and what of an answer it may see."""

import json
from typing import Any

import pytest

from deltawire.cli.supervisor import rights
from deltawire.common.wire.keys import Allowed

PODS, SECRETS = "dev/pods", "dev/secrets"
READER = Allowed("reader/ann", "k", frozenset({PODS}))
VERBS = ("kill", "apply", "scale", "restart", "pause", "resume", "relist", "dead-letters", "status", "describe", "key")


def may(owner: str) -> set[str]:
    whose = Allowed(owner, "k")
    return {verb for verb in VERBS if not rights.objection(whose, verb, {})}


def test_only_keys_of_commands_command() -> None:
    assert may("cli") == may("cli/me") == set(VERBS)
    for owner in ("control", "fifo", "reflector-0", "worker-0", "nobody"):
        assert may(owner) == set()
    assert may("handler/alerts") == may("handler/cli") == {"describe"}


def test_a_reader_asks_for_nothing_that_changes_anything_or_shows_dead_letters() -> None:
    assert may("reader") == may("reader/ann") == {"status", "describe", "key"}
    assert "use a key of cli" in rights.objection(READER, "kill", {"name": "worker-0"})


@pytest.mark.parametrize(("informer", "is_allowed"), [(PODS, True), (SECRETS, False), ("", False), ("dev", False)])
def test_a_reader_follows_keys_of_its_own_informers_only(informer: str, is_allowed: bool) -> None:
    text = rights.objection(READER, "key", {"informer": informer, "key": "default/x"})
    assert (text == "") is is_allowed


def status() -> dict[str, Any]:
    return {
        "state": "running",
        "unready": [f"{SECRETS}: not fresh", "worker-1 is not heard", "vault: 3 wait"],
        "core_faults": [f"{SECRETS} has no room"],
        "processes": {"vault-0": {"role": "handler", "last_words": "KeyError: dev/secrets default/root"}},
        "streams": {f"{PODS}@*": {}, f"{SECRETS}@*": {}, f"{SECRETS}@default": {}},
        "informers": {PODS: {"synced": True}, SECRETS: {"synced": False}},
        "groups": {
            "alerts": {"informers": [PODS], "last_error": None},
            "vault": {"informers": [SECRETS], "last_error": {"key": "default/root"}},
            "both": {"informers": [PODS, SECRETS]},
            "none": {"informers": []},
        },
        "clusters": {"dev": {}, "prod": {}},
        "kills": {"vault-0": {}},
    }


def test_what_a_reader_sees_of_the_status_names_no_informer_that_it_may_not_read() -> None:
    seen = rights.narrowed(READER, "status", status())
    assert SECRETS not in json.dumps(seen)
    assert set(seen["groups"]) == {"alerts"}
    assert set(seen["informers"]) == {PODS}
    assert seen["unready"] == ["worker-1 is not heard"]
    assert set(seen["clusters"]) == {"dev"}


@pytest.mark.parametrize("whose", [None, Allowed("cli", "k"), Allowed("reader", "k")])
def test_who_may_read_all_sees_the_whole_status(whose: Allowed | None) -> None:
    assert rights.narrowed(whose, "status", status()) == status()


def test_a_core_describes_to_a_key_what_it_may_read_and_handlers_to_commands_only() -> None:
    answer = {
        "config": {
            "version": 1,
            "informers": [{"cluster": "dev", "resource": "pods"}, {"cluster": "dev", "resource": "secrets"}],
            "handlers": [{"name": "vault", "command": ["vault", "--token", "t"]}],
        },
        "namespaces": {},
    }
    assert rights.narrowed(Allowed("cli", "k"), "describe", answer) == answer
    seen = rights.narrowed(READER, "describe", answer)
    assert seen["config"] == {"version": 1, "informers": [{"cluster": "dev", "resource": "pods"}]}
    assert len(rights.narrowed(Allowed("reader", "k"), "describe", answer)["config"]["informers"]) == 2


def test_the_audit_line_of_a_request_has_names_and_no_objects() -> None:
    arguments = {"name": "worker-0", "replicas": 2, "config": "", "where": {"error": "x"}, "objects": [b"secret"]}
    assert rights.words(arguments) == "name=worker-0 replicas=2"

"""Null where the API allows absence is the zero value, as in Go, in every answer that is read as a class."""

import ast
import json
from pathlib import Path

import msgspec
import pytest

from deltawire.client.discovery import aggregated, legacy
from deltawire.client.rest import frames
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.failures import status_of
from deltawire.client.tools.list_then_watch import ListThenWatch
from deltawire.client.transport.channels import exit_code_of
from deltawire.reflector import split

ROOT = Path(__file__).parents[3]
# What reads no answer of a server, or nothing but bytes and plain values; the rest goes through `decoder_of`, or its
# classes are in READ_AS_THEY_ARE.
OTHER_READERS = {
    "client/rest/decode.py",
    "client/rest/watch.py",  # one value of JSON, whatever it is
    "client/apply/extract.py",  # an annotation that we wrote
    "client/discovery/disk_cache.py",  # our own file
    "client/config/kubeconfig.py",  # a user's file
    "client/fakes/actions.py",  # a request of ours
    "client/auth/oidc.py",  # identity providers
    "client/auth/exec_credential.py",  # plug-ins
    "reflector/transform.py",  # plain values
}
READ_AS_THEY_ARE = {
    "client/rest/frames.py": frames,
    "reflector/split.py": split,
}


def test_every_other_answer_is_read_by_the_decoder_that_knows_null():
    found = set()
    for path in [*ROOT.glob("client/**/*.py"), *ROOT.glob("reflector/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if name in ("msgspec.json.decode", "msgspec.json.Decoder"):
                found.add(str(path.relative_to(ROOT)))
    assert found <= OTHER_READERS | READ_AS_THEY_ARE.keys()


MADE_HERE = {split.Batch}  # of what was read; nothing is read as one
STRUCTS = [
    one
    for module in READ_AS_THEY_ARE.values()
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == module.__name__
    if one not in MADE_HERE
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda one: one.__name__)
def test_every_field_that_is_read_as_it_is_takes_null(struct):
    for field in msgspec.structs.fields(struct):
        msgspec.json.decode(json.dumps({field.encode_name: None}), type=struct)


def nulled(tree):
    """``tree`` with each of its members in turn null."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield {**tree, key: None}
            for one in nulled(value):
                yield {**tree, key: one}
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            for one in nulled(value):
                yield [*tree[:index], one, *tree[index + 1 :]]


def zeroed(tree):
    """As `nulled`, without the member."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield {name: one for name, one in tree.items() if name != key}
            for one in zeroed(value):
                yield {**tree, key: one}
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            for one in zeroed(value):
                yield [*tree[:index], one, *tree[index + 1 :]]


RESOURCE = {
    "name": "widgets",
    "kind": "Widget",
    "namespaced": True,
    "singularName": "widget",
    "verbs": ["get"],
    "shortNames": ["w"],
    "categories": ["all"],
}
AGGREGATED = {
    "items": [
        {
            "metadata": {"name": "ex.io"},
            "versions": [
                {
                    "version": "v1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "widgets",
                            "responseKind": {"kind": "Widget", "group": "", "version": ""},
                            "scope": "Namespaced",
                            "singularResource": "widget",
                            "verbs": ["get"],
                            "shortNames": [],
                            "categories": [],
                            "subresources": [{"subresource": "status"}],
                        }
                    ],
                }
            ],
        }
    ]
}
STATUS = {
    "kind": "Status",
    "status": "Failure",
    "message": "m",
    "reason": "NonZeroExitCode",
    "code": 410,
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}


def outcome(read, tree):
    try:
        return read(json.dumps(tree).encode())
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("read", "tree"),
    [
        (legacy.parse_core, {"versions": ["v1"]}),
        (
            legacy.parse_groups,
            {
                "groups": [
                    {"name": "g", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}
                ]
            },
        ),
        (lambda body: legacy.parse_resources("ex.io", "v1", body), {"resources": [RESOURCE]}),
        (aggregated.parse, AGGREGATED),
        (exit_code_of, STATUS),
        (lambda body: vars(status_of(body) or object), STATUS | {"details": {}}),
    ],
)
def test_null_in_an_answer_is_the_same_as_not_there(read, tree):
    read(json.dumps(tree).encode())
    for null, absent in zip(nulled(tree), zeroed(tree), strict=True):
        assert str(outcome(read, null)) == str(outcome(read, absent)), null


def test_what_is_no_character_is_replaced_in_whatever_is_decoded():
    body = b'{"a":"x\\ud800y","b":"\xff"}'
    assert decoder_of(dict[str, str])(body) == {"a": "x\ufffdy", "b": "\ufffd"}


def test_what_is_nested_too_deep_is_an_error_of_decoding():
    with pytest.raises(msgspec.DecodeError, match="nested too deep"):
        decoder_of(dict)(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")


class OneList:
    def list_page(self, params):
        return b'{"metadata":{"resourceVersion":"9","continue":null},"items":[{"metadata":{"name":"a"}}]}'


def test_waiting_for_objects_reads_a_list_with_nulls():
    first = next(iter(ListThenWatch(OneList(), {})))
    assert first.object == {"metadata": {"name": "a"}}

"""A plug-in's file: found handlers, and one clear line for each thing that can be wrong with it."""

import json
import sys

import pytest

from deltawire.common.errors import PluginError
from deltawire.handlers import main
from deltawire.handlers.api import Handler
from deltawire.handlers.loader import MODULE, describe, load, pick

GOOD = """
from deltawire import Handler
handler = Handler("good", delivery="every", workers=2, resync_s=60,
                  indexes={"po": {"by-node": ".spec.nodeName"}}, reads=["nodes"])

@handler.on_add("pods")
@handler.on_add("deploy")
def added(obj): ...

@handler.on_delete("pods")
def deleted(obj, event): ...

@handler.reconcile("rs")
@handler.reconcile("pods", owner="rs")
def reconcile(key, ctx): ...
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """Loading puts the file's folder on the import path, and its module among the modules."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def write(tmp_path):
    def write(source: str, name: str = "plugin.py") -> str:
        path = tmp_path / name
        path.write_text(source)
        return str(path)

    return write


def test_a_file_is_described(write):
    path = write(GOOD)
    assert describe(load(path)) == {
        "handlers": [
            {
                "name": "good",
                "delivery": "every",
                "workers": 2,
                "resync_s": 60,
                "deadline_s": None,
                "attempts_max": None,
                "writes": [],
                "on": [
                    {"resource": "deployments.apps", "owner": None, "verbs": ["add"], "indexes": {}},
                    {
                        "resource": "pods",
                        "owner": "replicasets.apps",
                        "verbs": ["add", "delete", "reconcile"],
                        "indexes": {"by-node": ".spec.nodeName"},
                    },
                    {"resource": "replicasets.apps", "owner": None, "verbs": ["reconcile"], "indexes": {}},
                    {"resource": "nodes", "owner": None, "verbs": [], "indexes": {}},
                ],
                "places": {
                    "deployments.apps": f"{path}:6",
                    "pods": f"{path}:6",
                    "replicasets.apps": f"{path}:13",
                },
            }
        ]
    }


def test_the_cache_of_an_owner_is_kept_for_its_reconcile(write):
    path = write(
        "from deltawire import Handler\nhandler = Handler('h')\n"
        "@handler.reconcile('pods', owner='jobs')\ndef f(key, ctx): ...\n"
    )
    [handler] = describe(load(path))["handlers"]
    assert [(on["resource"], on["verbs"]) for on in handler["on"]] == [
        ("pods", ["reconcile"]),
        ("jobs.batch", []),
    ]


HEAD = 'from deltawire import Handler\nhandler = Handler("h")\n'


@pytest.mark.parametrize(
    "source, said",
    [
        ("def f(:\n", ":1: syntax error: invalid syntax"),
        (
            "x = 1\nx.y.z\n",
            ":2: raised while it was loaded: AttributeError: 'int' object has no attribute 'y'",
        ),
        ("import nothing_of_this_name\n", ":1: raised while it was loaded: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", ":1: raised while it was loaded: SystemExit: 3"),
        ("x = 1\n", " defines no Handler"),
        (HEAD, ": handler 'h' has no functions"),
        (
            HEAD + "@handler.on_add('pods')\ndef f(): ...\n",
            ":3: the on_add function is f(); expected f(obj) or",
        ),
        (HEAD + "@handler.on_add('pods')\ndef f(a, b, c, d): ...\n", "expected f(obj) or f(obj, event, ctx)"),
        (
            HEAD + "@handler.on_update('pods')\ndef f(new): ...\n",
            "expected f(old, new) or f(old, new, event, ctx)",
        ),
        (
            HEAD + "@handler.on_delete('pods')\ndef f(obj, *, mine): ...\n",
            "expected f(obj) or f(obj, event, ctx)",
        ),
        (HEAD + "@handler.reconcile('pods')\ndef f(): ...\n", "expected f(key) or f(key, ctx)"),
        (HEAD + "@handler.on_add('pods')\ndef f(obj): yield\n", "a generator, which would never be run"),
        (HEAD + "handler.on_add('pods')(7)\n", ":3: on_add decorates 7, which is not a function"),
        (
            HEAD + "@handler.on_add('')\ndef f(obj): ...\n",
            ":3: Handler('h'): on_add: '' is not the name of a resource",
        ),
        (HEAD + "@handler.on_add\ndef f(obj): ...\n", "is not the name of a resource"),
        (HEAD + "@handler.on_add('po')\n@handler.on_add('pods')\ndef f(obj): ...\n", "twice on one function"),
        ("from deltawire import Handler\nHandler('No Good')\n", "a name is lower case letters"),
        ("from deltawire import Handler\nHandler('h', delivery='all')\n", "neither 'latest' nor 'every'"),
        (
            "from deltawire import Handler\nHandler('h', workers=0)\n",
            ":2: Handler('h'): workers=0 is not between 1 and",
        ),
        ("from deltawire import Handler\nHandler('h', resync_s=-1)\n", "resync_s=-1 is negative"),
        (
            HEAD + "@handler.on_add('pods')\ndef f(obj): ...\nother = Handler('h')\n",
            "defines two handlers named 'h'",
        ),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_a_fault_is_one_line(write, source, said):
    path = write(source)
    with pytest.raises(PluginError) as raised:
        load(path)
    line = str(raised.value)
    assert said in line
    assert "\n" not in line
    assert raised.value.exit_code == 2


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(PluginError, match=r"cannot read .*nowhere\.py: No such file or directory"):
        load(str(tmp_path / "nowhere.py"))


def test_a_missing_module_is_one_line():
    with pytest.raises(PluginError, match=r"no module named 'nowhere\.at\.all'"):
        load("nowhere.at.all")


def test_a_plugin_may_have_modules_named_as_ours(write):
    write("VALUE = 'theirs'\n", "common.py")
    path = write(
        "import common\nfrom deltawire import Handler\nfrom deltawire.common import errors\n"
        "handler = Handler('h')\n@handler.on_add('pods')\ndef f(obj): return common.VALUE, errors\n"
    )
    [handler] = load(path)
    value, errors = handler.subscriptions[0].function({})
    sys.modules.pop("common")
    assert (value, errors.PluginError) == ("theirs", PluginError)


def test_an_imported_handler_counts_once(write):
    path = write(HEAD + "same = handler\n@handler.on_add('pods')\ndef f(obj): ...\n")
    assert len(load(path)) == 1


def test_the_group_names_its_handler():
    first, second = Handler("first"), Handler("second")
    assert pick([first, second], "second", "f.py") is second
    assert pick([first], "another", "f.py") is first
    with pytest.raises(PluginError, match=r"f\.py: no handler named 'third' among 'first', 'second'"):
        pick([first, second], "third", "f.py")


def test_describe_prints_one_json_line_whatever_the_plugin_prints(write, capsys):
    assert main.main(["--describe", write("print('hello')\n" + GOOD)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["handlers"][0]["name"] == "good"
    assert err == "hello\n"


def test_describe_of_a_faulty_file_exits_2_with_one_line(write, capsys):
    assert main.main(["--describe", write("x = = 1\n")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "plugin.py:1: syntax error" in err

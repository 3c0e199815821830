"""Kubeconfigs and answers of exec plug-ins, and what a server sees of whoever reads them.

A verdict is what arrives: ``Bearer tok``, ``Basic …``, ``certificate``, ``nobody``, with ``as …`` behind it for one who
acts as another; or ``refused``. In the texts ``@SERVER@`` is the server's URL, ``@CA@`` its CA in base64, ``@WRAPPED@``
the same in lines of 76, ``@OUT@`` the file that an exec plug-in prints, ``@CERT@`` and ``@KEY@`` a client's in PEM,
within JSON, ``@OTHER@`` a key of somebody else.
"""

import json
from dataclasses import dataclass
from typing import Any

TOK = "Bearer tok"
REFUSED = "refused"
NOBODY = "nobody"
V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


@dataclass(frozen=True)
class Case:
    """``kubectl`` is its verdict where it is another on purpose, and ``why`` says the purpose."""

    name: str
    text: str | bytes
    verdict: str = TOK
    kubectl: str = ""
    why: str = ""


ASKS = "kubectl asks a person for a user name then"
NO_TOKEN = "no server takes such a token: it is refused before it is sent"
DATA_WINS = "the file is not needed where the data is given"
NOT_OURS = "what only plug-ins read is not looked at"

CLUSTER = {"server": "@SERVER@", "certificate-authority-data": "@CA@"}


def config(**changes: Any) -> str:
    """A kubeconfig in JSON."""
    return json.dumps(
        {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": CLUSTER}],
            "users": [{"name": "u", "user": {"token": "tok"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            **changes,
        }
    )


def user(**fields: Any) -> str:
    return config(users=[{"name": "u", "user": fields}])


def cluster(**fields: Any) -> str:
    return config(clusters=[{"name": "c", "cluster": {**CLUSTER, **fields}}])


def text(
    *, head: str = "", user: str = "token: tok", cluster: str = "", ca: str = "@CA@", tail: str = ""
) -> str:
    """A kubeconfig in YAML."""
    return f"""{head}
current-context: x
clusters:
- name: c
  cluster:
    server: @SERVER@
    certificate-authority-data: {ca}
    {cluster}
users:
- name: u
  user:
    {user}
contexts:
- name: x
  context: {{cluster: c, user: u}}
{tail}"""


def word(name: str, verdict: str = REFUSED) -> Case:
    """A plain word of YAML where a text is wanted."""
    return Case(f"the word {name}", text(user=f"token: {name}"), verdict)


FOLDED = "\n      @WRAPPED@"

KUBECONFIGS = [
    Case("yaml", text()),
    Case("json", config()),
    Case("yaml behind a mark of its bytes' order", "\ufeff" + text()),
    Case("json behind such a mark", "\ufeff" + config()),
    Case("two bytes a character", text().encode("utf-16")),
    Case("lines that end in CR LF", text().replace("\n", "\r\n")),
    Case("its version and kind", text(head="apiVersion: v1\nkind: Config")),
    Case("nothing as its version and kind", text(head="apiVersion:\nkind: ~")),
    Case("another version", text(head="apiVersion: v2\nkind: Config"), REFUSED),
    Case("another kind", text(head="apiVersion: v1\nkind: Pod"), REFUSED),
    Case("a number as version", text(head="apiVersion: 1"), REFUSED),
    Case("a second document", text(tail="---\na: b\n")),
    Case("garbage behind the document", text(tail="---\n{ [ : bad\n")),
    Case("unknown fields", text(head="foo: {bar: [1]}\npreferences: {colors: true}", user="token: tok\n    a: 1")),
    Case("preferences null", config(preferences=None, extensions=None)),
    Case("contexts null", config(contexts=None), REFUSED),
    Case("users null", config(users=None), REFUSED),
    Case("users null and none wanted", config(users=None, contexts=[{"name": "x", "context": {"cluster": "c"}}]),
         NOBODY, REFUSED, ASKS),
    Case("users empty and none wanted", config(users=[], contexts=[{"name": "x", "context": {"cluster": "c"}}]),
         NOBODY, REFUSED, ASKS),
    Case("null among the users", config(users=[None, {"name": "u", "user": {"token": "tok"}}])),
    Case("two nulls among the users", config(users=[None, None, {"name": "u", "user": {"token": "tok"}}]), REFUSED),
    Case("a user without a name", config(users=[{"user": {}}, {"name": "u", "user": {"token": "tok"}}])),
    Case("a user whose name is null", config(users=[{"name": None}, {"name": "u", "user": {"token": "tok"}}])),
    Case("a user that is null", config(users=[{"name": "u", "user": None}]), NOBODY, REFUSED, ASKS),
    Case("a token that is null", user(token=None, username="ada", password="pw"), "Basic YWRhOnB3"),
    Case("a password that is null", user(username="ada", password=None), "Basic YWRhOg=="),
    Case("a password without a user", user(password="pw"), NOBODY, REFUSED, ASKS),
    Case("a token and a user name", user(token="tok", username="ada"), REFUSED),
    Case("other ways that are null", user(token="tok", exec=None, **{"auth-provider": None})),
    Case("null among extensions", cluster(extensions=[{"name": "e", "extension": {"a": [None]}}, None])),
    Case("a second user of one name", config(users=[{"name": "u", "user": {"token": "tok"}}] * 2), REFUSED),
    Case("a second context of one name", config(contexts=[{"name": "x", "context": {"cluster": "c", "user": "u"}}] * 2),
         REFUSED),
    Case("two unused users of one name", config(users=[{"name": "u", "user": {"token": "tok"}}, *[{"name": "z"}] * 2]),
         REFUSED),
    Case("a key twice, the last one counts", "current-context: y\n" + text()),
    Case("base64 in lines", text(ca="|" + FOLDED)),
    Case("base64 in lines, folded to spaces", text(ca=FOLDED), REFUSED),
    Case("base64 without its padding", text(ca="YQ"), REFUSED),
    Case("base64 that is none, unused",
         config(clusters=[{"name": "c", "cluster": CLUSTER},
                          {"name": "d", "cluster": {"certificate-authority-data": "*"}}]),
         REFUSED),
    *map(word, ("7", "yes", "on", "y", "n", "True", "010", "089", "0x1f", "0o7", "1e3", "1_0", "+1", ".5")),
    *(word(each, f"Bearer {each}")
      for each in ("2020-01-01", "2020-01-01T00:00:00Z", "1:30", "190:20:30.15", "=", "1_a")),
    word("!!str 7", "Bearer 7"),
    word("'yes'", "Bearer yes"),
    word("!mine tok", TOK),
    Case("a null word", text(user="token: ~\n    username: ada"), "Basic YWRhOg=="),
    Case("a merged mapping", text(head="m: &m {token: tok}", user="<<: *m")),
    Case("keys that are numbers, booleans, dates", text(head="1: a\n1.5: b\nyes: c\n2020-01-01: d")),
    Case("a key that is null", text(head="~: a"), REFUSED),
    Case("a key that is a list", text(head="? [a]\n: b"), REFUSED),
    Case("a boolean that is a word", text(cluster="insecure-skip-tls-verify: n")),
    Case("a boolean in quotes", text(cluster='insecure-skip-tls-verify: "false"'), REFUSED),
    Case("a boolean that is a number", text(cluster="insecure-skip-tls-verify: 0"), REFUSED),
    Case("a boolean that is null", text(cluster="insecure-skip-tls-verify: null")),
    Case("no trust and a CA", text(cluster="insecure-skip-tls-verify: true"), REFUSED),
    Case("a field in capitals", text(user="Token: tok"), NOBODY, REFUSED, ASKS),
    Case("a scheme in capitals", text().replace("@SERVER@", "@SERVER_UPPER@")),
    Case("a proxy of a scheme that is none", text(cluster="proxy-url: ftp://x"), REFUSED),
    Case("paths from the file's folder", config(users=[{"name": "u", "user": {"tokenFile": "sub/../tok"}}])),
    Case("a token file that is not there", user(tokenFile="gone"), REFUSED),
    Case("a token and a file", user(token="inline", tokenFile="tok")),
    Case("a token and a file that is not there", user(token="inline", tokenFile="gone"), "Bearer inline"),
    Case("a CA file that is not there beside its data", cluster(**{"certificate-authority": "gone"}),
         TOK, REFUSED, DATA_WINS),
    Case("a certificate and its key", user(**{"client-certificate": "cert.pem", "client-key": "key.pem"}),
         "certificate"),
    Case("a certificate without its key", user(**{"client-certificate": "cert.pem"}), REFUSED),
    Case("a certificate and a token", user(token="tok", **{"client-certificate": "cert.pem", "client-key": "key.pem"}),
         "Bearer tok certificate"),
    Case("a certificate that is none", user(**{"client-certificate-data": "eA==", "client-key-data": "eA=="}), REFUSED),
    Case("acting as another", user(token="tok", **{"as": "bob", "as-groups": ["g", "h"]}), "Bearer tok as bob g h"),
    Case("null among the groups", user(token="tok", **{"as": "bob", "as-groups": [None, "h"]}), "Bearer tok as bob  h"),
    Case("nobody to act as", user(token="tok", **{"as": None, "as-groups": None, "as-user-extra": None})),
    Case("groups of nobody", user(token="tok", **{"as-groups": ["g"]}), REFUSED),
    Case("groups that are no list", user(token="tok", **{"as": "b", "as-groups": "g"}), REFUSED),
    Case("no context", config(**{"current-context": None}), REFUSED),
    Case("a context that is not there", config(**{"current-context": "y"}), REFUSED),
    Case("a user that is not there", config(contexts=[{"name": "x", "context": {"cluster": "c", "user": "z"}}]),
         REFUSED),
    Case("a provider that was removed", user(**{"auth-provider": {"name": "gcp"}}), REFUSED),
    Case("a removed provider, unused",
         config(users=[{"name": "u", "user": {"token": "tok"}},
                       {"name": "g", "user": {"auth-provider": {"name": "gcp"}}}])),
    Case("a token with a space behind it", user(token="tok ")),
    Case("a token with a line's end", user(token="tok\n"), REFUSED),
    Case("a token with a space before it", user(token=" tok"), REFUSED, "Bearer  tok", NO_TOKEN),
    Case("an empty file", "", REFUSED),
    Case("a list", "[]", REFUSED),
    Case("a tab", "\ta: b", REFUSED),
    Case("bytes that are no text", text(head="# \xe9").encode("latin-1"), REFUSED),
]  # fmt: skip

MERGED = [
    # (name, files of $KUBECONFIG by their name and None for one that is not there, the verdict of both)
    ("the first that has an entry wins", {"a": user(token="tok"), "b": user(token="other")}, TOK),
    ("files that are not there are skipped", {"a": None, "b": config(), "c": None}, TOK),
    (
        "entries are collected",
        {"a": '{"current-context": "x"}', "b": config(**{"current-context": "y"})},
        TOK,
    ),
    ("entries are taken whole", {"a": '{"clusters": [{"name": "c"}]}', "b": config()}, REFUSED),
    ("one that cannot be read stops all", {"a": config(), "b": "a: ["}, REFUSED),
    ("an empty one changes nothing", {"a": "", "b": config(), "c": "null"}, TOK),
    ("one of another kind stops all", {"a": config(), "b": "kind: Pod"}, REFUSED),
]


def answer(version: str = V1, **status: Any) -> str:
    """An ExecCredential in JSON."""
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


def answer_with(**fields: Any) -> str:
    return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "tok"}, **fields})


def written(*status: str, version: str = V1) -> str:
    """An ExecCredential in YAML."""
    head = [f"apiVersion: {version}", "kind: ExecCredential", "status:"]
    return "\n".join([*head, *(f"  {line}" for line in status), ""])


def until(time: Any) -> str:
    return answer(token="tok", expirationTimestamp=time)


PAIR = {"clientCertificateData": "@CERT@", "clientKeyData": "@KEY@"}

ANSWERS = [
    Case("json", answer(token="tok")),
    Case("yaml", written("token: tok")),
    Case("yaml of v1beta1 in v1", written("token: tok", version=V1BETA1), REFUSED),
    Case("json behind a mark of its bytes' order", "\ufeff" + answer(token="tok")),
    Case("yaml behind such a mark", "\ufeff" + written("token: tok")),
    Case("two bytes a character", answer(token="tok").encode("utf-16")),
    Case("empty lines around json", "\n\n " + answer(token="tok") + "\n\n"),
    Case("more behind json", answer(token="tok") + "\nbye", REFUSED),
    Case("a second document of yaml", written("token: tok") + "---\n{["),
    Case("words before it", "hello\n" + answer(token="tok"), REFUSED),
    Case("json as a document of yaml", "---\n" + answer(token="tok")),
    Case("yaml that looks like json", f"{{apiVersion: {V1}, kind: ExecCredential, status: {{token: tok}}}}", REFUSED),
    Case("lines that end in CR LF", written("token: tok").replace("\n", "\r\n")),
    Case("no version", answer_with(apiVersion=None), REFUSED),
    Case("no kind", answer_with(kind=None)),
    Case("another kind", answer_with(kind="Secret"), REFUSED),
    Case("another version", answer(V1BETA1, token="tok"), REFUSED),
    Case("no status", answer_with(status=None), REFUSED),
    Case("an empty status", answer(), REFUSED),
    Case("a status that is a list", answer_with(status=[]), REFUSED),
    Case("a field in capitals", answer(Token="tok"), REFUSED),
    Case("a key twice, the last one counts", answer(token="tok").replace('"token"', '"token": "a", "token"')),
    Case("nulls", answer(token="tok", expirationTimestamp=None, clientCertificateData=None, clientKeyData=None)),
    Case("nulls beside the status", answer_with(spec=None, metadata=None)),
    Case("unknown fields", answer_with(spec={"interactive": False, "a": 1}, b=[2])),
    Case("a spec of another type", answer_with(spec=[]), TOK, REFUSED, NOT_OURS),
    Case("a token that is null", answer(token=None), REFUSED),
    Case("a token that is a number", answer(token=5), REFUSED),
    Case("a token that looks like a date", written("token: 2020-01-01"), "Bearer 2020-01-01"),
    Case("a token that looks like a boolean", written("token: yes"), REFUSED),
    Case("a token with a space behind it", answer(token="tok ")),
    Case("a token with a space in it", answer(token="to k"), REFUSED, "Bearer to k", NO_TOKEN),
    Case("a token with a line's end", answer(token="tok\n"), REFUSED),
    Case("half a character beside it", answer(token="tok", other="\ud800")),
    Case("bytes that are no text beside it", answer(token="tok").encode()[:-2] + b', "o": "\xe9"}}'),
    Case("what is no number", answer_with(other=float("nan")), REFUSED),
    Case("an expiry", until("2099-01-01T00:00:00Z")),
    Case("an expiry with parts of a second", until("2099-01-01T00:00:00.123456789Z")),
    Case("an expiry with a comma", until("2099-01-01T00:00:00,5Z")),
    Case("an expiry of another zone", until("2099-01-01T00:00:00+02:00")),
    Case("an expiry without a zone", until("2099-01-01T00:00:00"), REFUSED),
    Case("an expiry of a zone without a colon", until("2099-01-01T00:00:00+0200"), REFUSED),
    Case("an expiry with a space", until("2099-01-01 00:00:00Z"), REFUSED),
    Case("an expiry in small letters", until("2099-01-01t00:00:00z"), REFUSED),
    Case("an empty expiry", until(""), REFUSED),
    Case("an expiry that is a number", until(4070908800), REFUSED),
    Case("an expiry that is a date", until("2099-01-01"), REFUSED),
    Case("an expiry on a day that is none", until("2099-02-30T00:00:00Z"), REFUSED),
    Case("Go's zero time", until("0001-01-01T00:00:00Z")),
    Case("an expiry that is over", until("2001-01-01T00:00:00Z")),
    Case("an expiry of yaml", written("token: tok", "expirationTimestamp: 2099-01-01T00:00:00Z")),
    Case("a certificate", answer(**PAIR), "certificate"),
    Case("a certificate with words around it", answer(clientCertificateData="a\n@CERT@b", clientKeyData="c\n@KEY@"),
         "certificate"),
    Case("a certificate and a token", answer(token="tok", **PAIR), "Bearer tok certificate"),
    Case("a certificate that is none", answer(clientCertificateData="x", clientKeyData="y"), REFUSED),
    Case("a certificate that is none beside a token", answer(token="tok", clientCertificateData="x", clientKeyData="y"),
         REFUSED),
    Case("a certificate without its key", answer(token="tok", clientCertificateData="@CERT@"), REFUSED),
    Case("a key without its certificate", answer(token="tok", clientKeyData="@KEY@"), REFUSED),
    Case("a key of another", answer(clientCertificateData="@CERT@", clientKeyData="@OTHER@"), REFUSED),
    Case("certificate and key exchanged", answer(clientCertificateData="@KEY@", clientKeyData="@CERT@"), REFUSED),
    Case("nothing", "", REFUSED),
    Case("words", "Please log in", REFUSED),
    Case("a zero byte", b"\x00", REFUSED),
]  # fmt: skip


def with_plugin(version: str = V1) -> str:
    """A kubeconfig whose plug-in prints ``@OUT@``."""
    plugin = {"apiVersion": version, "command": "/bin/cat", "args": ["@OUT@"], "interactiveMode": "Never"}
    return user(exec=plugin)


# A plug-in that gives as its token what it was told: KUBERNETES_EXEC_INFO, arguments, three variables, whose stdin.
ECHO = """#!@PYTHON@ -SE
import base64, json, os, sys
told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
said = {"told": told, "args": sys.argv[1:], "env": [os.environ.get(name) for name in "ABC"], "stdin": os.isatty(0)}
token = base64.b64encode(json.dumps(said, sort_keys=True).encode()).decode()
print(json.dumps({"apiVersion": told["apiVersion"], "kind": "ExecCredential", "status": {"token": token}}))
"""


def echo(cluster: dict[str, Any] | None = None, **fields: Any) -> str:
    """A kubeconfig that has `ECHO`, as the program ``sub/echo``, with ``fields`` of its stanza."""
    plugin = {"apiVersion": V1, "command": "sub/echo", "interactiveMode": "Never", **fields}
    return config(
        clusters=[{"name": "c", "cluster": {**CLUSTER, **(cluster or {})}}],
        users=[{"name": "u", "user": {"exec": plugin}}],
    )


def for_plugins(extension: Any) -> dict[str, Any]:
    return {"extensions": [{"name": "client.authentication.k8s.io/exec", "extension": extension}]}


# Both sides are compared with each other; True: the plug-in is run.
STANZAS = {
    "as it is": (echo(), True),
    "null arguments": (echo(args=None), True),
    "null among the arguments": (echo(args=["a", None, "b"]), True),
    "a number among the arguments": (echo(args=[1]), False),
    "variables": (echo(env=[{"name": "A", "value": "1"}, {"name": "B", "value": None}, {"name": "C"}]), True),
    "a variable twice": (echo(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), True),
    "a name with =": (echo(env=[{"name": "A=B", "value": "1"}]), True),
    "null variables": (echo(env=None), True),
    "null among the variables": (echo(env=[None]), False),
    "a zero byte": (echo(env=[{"name": "A", "value": "x\0y"}]), False),
    "no mode in v1": (echo(interactiveMode=None), False),
    "no mode in v1beta1": (echo(interactiveMode=None, apiVersion=V1BETA1), True),
    "asks if it may": (echo(interactiveMode="IfAvailable"), True),
    "must ask": (echo(interactiveMode="Always"), False),
    "a mode that is none": (echo(interactiveMode="never"), False),
    "an older version": (echo(apiVersion="client.authentication.k8s.io/v1alpha1"), False),
    "no command": (echo(command=None), False),
    "a command that is no program": (echo(command="./tok"), False),
    "told of the cluster": (echo(provideClusterInfo=True), True),
    "told null": (echo(provideClusterInfo=None), True),
    "told what the cluster has for plug-ins": (
        echo(for_plugins({"z": None, "a": [None, 1, 1.5, "x"], "b": {}}), provideClusterInfo=True),
        True,
    ),
    "told a text": (echo(for_plugins("x"), provideClusterInfo=True), True),
    "told nothing for plug-ins": (echo(for_plugins(None), provideClusterInfo=True), True),
    "told of names and compression": (
        echo({"tls-server-name": "127.0.0.1", "disable-compression": True}, provideClusterInfo=True),
        True,
    ),
    "an empty hint": (echo(installHint=None), True),
}

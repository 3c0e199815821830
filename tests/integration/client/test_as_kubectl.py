"""Kubeconfigs and plug-ins mean here what they mean to kubectl: a table, run through both.

Our side runs always; kubectl's where it is on the PATH, which shows that the table is true (made with 1.32).
"""

import base64
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from deltawire.client.config.loading import load
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import DeltawireError
from tests.support.kubectl_cases import (
    ANSWERS,
    ECHO,
    KUBECONFIGS,
    MERGED,
    REFUSED,
    STANZAS,
    TOK,
    V1BETA1,
    Case,
    answer,
    with_plugin,
    written,
)

KUBECTL = shutil.which("kubectl")
WAIT_S = 50
Read = Callable[[dict[str, str], str], None]


@dataclass
class Rig:
    """A server that keeps who came for each path, and a folder of files."""

    folder: Path
    url: str
    words: dict[bytes, bytes]
    seen: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str | bytes) -> bytes:
        """``text`` with its words replaced, in whatever way its characters are written."""
        data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
        wide = data.startswith(b"\xff\xfe")
        narrow = data.decode("utf-16").encode() if wide else data
        for word, value in self.words.items():
            narrow = narrow.replace(word, value)
        return narrow.decode().encode("utf-16") if wide else narrow

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(self.fill(text))
        return path

    def verdict(self, read: Read, kubeconfig: str, name: str) -> str:
        path = f"/{name}"
        self.seen.pop(path, None)
        read(
            {"PATH": os.environ["PATH"], "HOME": str(self.folder / "no-home"), "KUBECONFIG": kubeconfig}, path
        )
        return self.seen.get(path, REFUSED)


def with_kubectl(env: dict[str, str], path: str) -> None:
    assert KUBECTL is not None
    command = [KUBECTL, "get", "--raw", path]
    subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
    )


def with_ours(env: dict[str, str], path: str) -> None:
    try:
        client = RESTClient(load(env=env))
        try:
            client.get().abs_path(path).do()
        finally:
            client.close()
    except DeltawireError as error:
        assert "\n" not in str(error)


def who(handler: http.server.BaseHTTPRequestHandler) -> str:
    connection = handler.connection
    assert isinstance(connection, ssl.SSLSocket)
    found = [handler.headers["Authorization"] or "", "certificate" if connection.getpeercert() else ""]
    shown = " ".join(part for part in found if part) or "nobody"
    if handler.headers["Impersonate-User"]:
        shown += " ".join(
            [f" as {handler.headers['Impersonate-User']}", *handler.headers.get_all("Impersonate-Group", [])]
        )
    return shown


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("kubeconfigs")
    authority = trustme.CA()
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    ours = authority.issue_cert("ada@example.com")
    cert, key = ours.cert_chain_pems[0].bytes(), ours.private_key_pem.bytes()
    other = authority.issue_cert("eve@example.com").private_key_pem.bytes()
    for name, data in {"cert.pem": cert, "key.pem": key, "tok": b"tok\n"}.items():
        (folder / name).write_bytes(data)
    (folder / "sub").mkdir()
    made = Rig(
        folder,
        "",
        {
            b"@CA@": ca.encode(),
            b"@WRAPPED@": "\n      ".join(textwrap.wrap(ca, 76)).encode(),
            **{
                word: json.dumps(value.decode())[1:-1].encode()
                for word, value in ((b"@CERT@", cert), (b"@KEY@", key), (b"@OTHER@", other))
            },
        },
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen[self.path] = who(self)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust us
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    made.url = f"https://127.0.0.1:{server.server_address[1]}"
    made.words |= {
        b"@SERVER@": made.url.encode(),
        b"@SERVER_UPPER@": made.url.replace("https", "HTTPS").encode(),
    }
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join(WAIT_S)
    server.server_close()


def verdicts(rig: Rig, read: Read, cases: list[Case], config: Callable[[Case, str], str]) -> dict[str, str]:
    """The verdict for each case, by its name; several are asked for at once."""
    names = {case.name: f"{read.__name__}-{config.__name__}-{number}" for number, case in enumerate(cases)}

    def one(case: Case) -> str:
        return rig.verdict(read, config(case, names[case.name]), names[case.name])

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(one, cases), strict=True))


@pytest.fixture
def kubeconfigs(rig: Rig) -> Callable[[Case, str], str]:
    def kubeconfig(case: Case, name: str) -> str:
        return str(rig.file(name, case.text))

    return kubeconfig


@pytest.fixture
def plugins(rig: Rig) -> Callable[[Case, str], str]:
    def plugin(case: Case, name: str) -> str:
        printed = rig.file(f"{name}.out", case.text)
        return str(rig.file(name, with_plugin().replace("@OUT@", str(printed))))

    return plugin


def test_a_kubeconfig_means_what_the_table_says(rig: Rig, kubeconfigs: Callable[[Case, str], str]) -> None:
    found = verdicts(rig, with_ours, KUBECONFIGS, kubeconfigs)
    assert found == {case.name: case.verdict for case in KUBECONFIGS}


def test_an_exec_plugins_answer_means_what_the_table_says(
    rig: Rig, plugins: Callable[[Case, str], str]
) -> None:
    found = verdicts(rig, with_ours, ANSWERS, plugins)
    assert found == {case.name: case.verdict for case in ANSWERS}


READERS = [
    with_ours,
    pytest.param(
        with_kubectl, marks=pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
    ),
]


@pytest.mark.parametrize("read", READERS)
def test_several_kubeconfigs_are_merged_as_kubectl_does(rig: Rig, read: Read) -> None:
    found = {}
    for number, (name, files, _) in enumerate(MERGED):
        folder = rig.folder / f"{read.__name__}-merged-{number}"
        folder.mkdir()
        for file, text in files.items():
            if text is not None:
                rig.file(f"{folder.name}/{file}", text)
        listed = os.pathsep.join(str(folder / file) for file in files)
        found[name] = rig.verdict(read, listed, f"{read.__name__}-merged-{number}")
    assert found == {name: verdict for name, _, verdict in MERGED}


@pytest.mark.parametrize("read", READERS)
def test_both_versions_of_the_plugins_interface_are_read(rig: Rig, read: Read) -> None:
    for number, text in enumerate((answer(V1BETA1, token="tok"), written("token: tok", version=V1BETA1))):
        name = f"{read.__name__}-beta-{number}"
        printed = rig.file(f"{name}.out", text)
        config = rig.file(name, with_plugin(V1BETA1).replace("@OUT@", str(printed)))
        assert rig.verdict(read, str(config), name) == TOK


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
@pytest.mark.long
class TestTheTableIsTrue:
    """Where kubectl's verdict is another one, the table says so, and why."""

    def test_for_kubeconfigs(self, rig: Rig, kubeconfigs: Callable[[Case, str], str]) -> None:
        found = verdicts(rig, with_kubectl, KUBECONFIGS, kubeconfigs)
        assert found == {case.name: case.kubectl or case.verdict for case in KUBECONFIGS}

    def test_for_what_plugins_are_told(self, rig: Rig) -> None:
        program = rig.file("sub/echo", ECHO.replace("@PYTHON@", sys.executable))
        program.chmod(0o755)
        for name, (text, is_run) in STANZAS.items():
            file = str(rig.file("stanza", text))
            ours, theirs = (rig.verdict(read, file, read.__name__) for read in (with_ours, with_kubectl))
            assert ours == theirs, name
            assert (ours != REFUSED) == is_run, name

    def test_for_answers_of_plugins(self, rig: Rig, plugins: Callable[[Case, str], str]) -> None:
        found = verdicts(rig, with_kubectl, ANSWERS, plugins)
        assert found == {case.name: case.kubectl or case.verdict for case in ANSWERS}


def test_every_case_has_a_name_of_its_own_and_every_difference_its_reason() -> None:
    for cases in (KUBECONFIGS, ANSWERS):
        assert len({case.name for case in cases}) == len(cases)
        assert all(bool(case.kubectl) == bool(case.why) for case in cases)

"""P8 over TLS with tokens: each fault is one clear line in the log and in status, stops no other cluster, and heals."""

import base64
import socket
import time

import pytest
import trustme
import yaml

from tests.support.pipeline import Pipeline, ServerProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("faults")]
TOKEN = "the-right-one"
# Each cluster of the config has one fault, and one informer that meets it.
STREAMS = {
    "untrusted": "untrusted/services@*",
    "stranger": "stranger/configmaps@*",
    "away": "away/pods@*",
    "unknown": "good/widgets.example.com@*",
}
TEXTS = {
    "untrusted": "not signed by the given CA",
    "stranger": "did not accept the token",
    "away": "refused",
    "unknown": "widgets.example.com",
}
HEALED = ("stranger/configmaps", "away/pods", "good/widgets.example.com", "good/pods")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kubeconfig(path, cluster, **user):
    """A kubeconfig with one context."""
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "it", "user": user}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            }
        )
    )
    return {"kubeconfig": str(path)}


def test_each_fault_is_one_line_the_others_go_on_and_it_heals(tmp_path):
    (tmp_path / "server").mkdir()
    server = ServerProcess(tmp_path / "server", "--objects", "pods=30", "--tls", "--token", TOKEN)
    # Two names for one cluster are refused, so the one with the token has a server of its own.
    (tmp_path / "strict").mkdir()
    servers = [server, strict := ServerProcess(tmp_path / "strict", "--tls", "--token", TOKEN)]
    port = free_port()
    token = tmp_path / "token"
    token.write_text("a-wrong-one")
    foreign_ca = tmp_path / "foreign-ca.pem"
    trustme.CA().cert_pem.write_to_path(str(foreign_ca))
    untrusted = {"server": server.url, "certificate-authority": str(foreign_ca)}
    clusters = {
        "good": {"kubeconfig": str(server.kubeconfig)},
        "untrusted": kubeconfig(tmp_path / "untrusted", untrusted, token=TOKEN),
        "stranger": kubeconfig(tmp_path / "stranger", strict.cluster, tokenFile=str(token)),
        "away": kubeconfig(tmp_path / "away", {"server": f"http://127.0.0.1:{port}"}),
    }
    pipeline = Pipeline(tmp_path, server.kubeconfig, clusters=clusters)
    pipeline.handle(
        {"resource": "pods", "cluster": "good"},
        {"resource": "widgets.example.com", "cluster": "good"},
        {"resource": "services", "cluster": "untrusted"},
        {"resource": "configmaps", "cluster": "stranger"},
        {"resource": "pods", "cluster": "away"},
    )

    def errors():
        streams = pipeline.status().get("streams", {})
        return {fault: streams.get(name, {}).get("error", "") for fault, name in STREAMS.items()}

    def failing():
        return [fault for fault, error in errors().items() if error]

    def are_told():
        found = errors()
        return found if all(found.values()) else {}

    def are_healed():
        informers = pipeline.status()["informers"]
        return all(informers[name]["synced"] for name in HEALED)

    began = time.monotonic()
    try:
        pipeline.up()
        told = wait_until("each fault to be told", are_told, seconds=40, every_s=0.2)
        text = pipeline.run("status").stdout.replace("\n", "")
        for fault, error in told.items():
            assert TEXTS[fault] in error, (fault, error)
            assert "\n" not in error
            assert error[:40] in text
        wait_until("the good one to be handled", lambda: pods_seen(pipeline) >= 30)

        # The causes go away, all but one.
        token.write_text(TOKEN)
        (tmp_path / "late").mkdir()
        servers.append(ServerProcess(tmp_path / "late", "--objects", "pods=10", "--port", str(port)))
        ca = tmp_path / "ca.pem"
        ca.write_bytes(base64.b64decode(server.cluster["certificate-authority-data"]))
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        server.call("POST", path, json=CRD, headers={"Authorization": f"Bearer {TOKEN}"}, verify=str(ca))
        # A stream that has failed for a while is tried again after 60 s at most.
        wait_until("the others to heal", are_healed, seconds=100, every_s=0.2)
        # A worker's report may be a second ahead of a reflector's.
        wait_until("no error but one", lambda: failing() == ["untrusted"], seconds=20, every_s=0.2)

        warnings = [line for line in pipeline.log.splitlines() if line.startswith("{")]
        for fault, text in TEXTS.items():
            told = [line for line in warnings if text in line]
            minutes = int((time.monotonic() - began) / 60)
            assert 1 <= len(told) <= 1 + minutes, f"{fault} was logged {len(told)} times in {minutes} minutes"
        assert "Traceback" not in pipeline.log
        assert TOKEN not in pipeline.log
        assert "a-wrong-one" not in pipeline.log
    except BaseException:
        print(pipeline.log[-8000:])
        raise
    finally:
        pipeline.close()
        for each in servers:
            each.stop()


def pods_seen(pipeline):
    calls = pipeline.calls_since(dict.fromkeys(pipeline.calls, 0))["latest"]
    return len({call["key"] for call in calls if call["resource"] == "pods"})

"""The whole way: a kubeconfig with an expired token, a provider behind TLS, a request that succeeds."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from deltawire.client.auth.https import fetcher
from deltawire.client.config.identity import OidcProvider
from deltawire.client.config.loading import load
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import CredentialsError
from deltawire.common.meta.resources import ResourceType, find

PODS = find("pods")
assert isinstance(PODS, ResourceType)


def jwt(expires_in_s: float) -> str:
    payload = json.dumps({"exp": time.time() + expires_in_s}).encode()
    return f"h.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.s"


def test_an_expired_token_is_renewed_and_the_kubeconfig_updated(
    servers: Any, tls_server: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    good = jwt(3600)

    def answer(exchange: Any) -> None:
        if exchange.path.endswith("openid-configuration"):
            exchange.reply(200, json.dumps({"token_endpoint": f"{tls_server.url}/token"}).encode())
        elif exchange.path == "/token":
            exchange.reply(200, json.dumps({"id_token": good, "refresh_token": "r2"}).encode())
        else:
            exchange.reply(200 if exchange.headers["Authorization"] == f"Bearer {good}" else 401)

    tls_server.answers(answer)
    ca = base64.b64encode(authority.cert_pem.bytes()).decode()
    config = {
        "idp-issuer-url": tls_server.url,
        "client-id": "me",
        "idp-certificate-authority-data": ca,
        "id-token": jwt(-1),
        "refresh-token": "r1",
    }
    file = tmp_path / "config"
    cluster = {"server": tls_server.url, "certificate-authority-data": ca}
    content = {
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"auth-provider": {"name": "oidc", "config": config}}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(yaml.safe_dump(content))
    client = RESTClient(load(kubeconfig=str(file), env={}))
    assert client.list_page(PODS) == b"{}"
    client.close()
    kept = yaml.safe_load(file.read_text())["users"][0]["user"]["auth-provider"]["config"]
    assert (kept["id-token"], kept["refresh-token"]) == (good, "r2")


def test_a_provider_of_another_ca_gets_no_token(tls_server: Any) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    provider = OidcProvider(tls_server.url, "me", ca_data=trustme.CA().cert_pem.bytes())
    with pytest.raises(CredentialsError, match="gives no answer"):
        fetcher(provider)("GET", f"{tls_server.url}/x", {}, None)
    assert tls_server.requests == []


def test_a_provider_without_tls_gets_no_token(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    with pytest.raises(CredentialsError, match="is not https"):
        fetcher(OidcProvider(server.url, "me"))("GET", f"{server.url}/x?token=s3cret", {}, None)
    assert server.requests == []


def test_a_provider_that_is_not_there_is_one_line() -> None:
    with pytest.raises(CredentialsError, match="gives no answer: ") as found:
        fetcher(OidcProvider("https://127.0.0.1:1", "me"))("GET", "https://127.0.0.1:1/x", {}, None)
    assert "0x" not in str(found.value)

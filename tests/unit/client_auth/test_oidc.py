import base64
import json
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from deltawire.client.auth.https import Answer
from deltawire.client.auth.oidc import RENEW_BEFORE_S, OidcCredentials, expires_at_s
from deltawire.client.config.identity import OidcProvider
from deltawire.client.config.kubeconfig_write import LOCK_TIMEOUT_S, locked, write_provider_config
from deltawire.common.clock import Clock, FakeClock, SystemClock
from deltawire.common.errors import CredentialsError

NOW_S = 1_700_000_000.0
ISSUER = "https://idp/realm"
ENDPOINT = "https://idp/token"


def jwt(exp: float, name: str = "ada") -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": name, "exp": exp}).encode()).rstrip(b"=")
    return f"h.{payload.decode()}.s"


GOOD, OVER = jwt(NOW_S + 3600), jwt(NOW_S - 1)


class Provider:
    """Plays an identity provider: each token answer in turn, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, list[str]]] = []
        self.headers: list[Mapping[str, str]] = []
        self.discovery = Answer(200, json.dumps({"token_endpoint": ENDPOINT}).encode())

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return self.discovery
        assert (method, url) == ("POST", ENDPOINT)
        self.forms.append(parse_qs((body or b"").decode()))
        self.headers.append(headers)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def tokens(id_token: str, refresh_token: str = "") -> Answer:
    return Answer(200, json.dumps({"id_token": id_token, "refresh_token": refresh_token}).encode())


def kubeconfig(folder: Path, **config: str) -> Path:
    file = folder / "config"
    user = {"auth-provider": {"name": "oidc", "config": config}}
    other = {"name": "other", "user": {"token": "untouched", "flag": True, "since": "2020-01-01T00:00:00Z"}}
    file.write_text(yaml.safe_dump({"users": [other, {"name": "u", "user": user}], "kind": "Config"}))
    return file


class SteadyWall(SystemClock):
    """Waits as the system's clock does; the date stands still."""

    def wall_s(self) -> float:
        return NOW_S


def credentials(
    idp: Provider,
    *,
    id_token: str = "",
    refresh: str = "r1",
    secret: str = "",
    file: Path | None = None,
    clock: Clock | None = None,
) -> OidcCredentials:
    provider = OidcProvider(
        ISSUER, "me", secret, id_token=id_token, refresh_token=refresh, file=str(file or ""), user="u"
    )
    return OidcCredentials(provider, clock=clock or FakeClock(wall_s=NOW_S), fetch=idp)


def written(file: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(file.read_text())["users"][1]["user"]["auth-provider"]["config"]
    return found


def test_a_good_token_is_used_without_asking():
    idp = Provider(tokens(GOOD))
    assert credentials(idp, id_token=GOOD).headers() == {"Authorization": f"Bearer {GOOD}"}
    assert idp.forms == []


@pytest.mark.parametrize("held", ["", OVER, jwt(NOW_S + RENEW_BEFORE_S)])
def test_a_token_that_is_over_or_nearly_is_renewed(held: str):
    idp = Provider(tokens(GOOD))
    assert credentials(idp, id_token=held).headers() == {"Authorization": f"Bearer {GOOD}"}
    assert idp.forms == [{"grant_type": ["refresh_token"], "refresh_token": ["r1"], "client_id": ["me"]}]


def test_a_secret_goes_into_the_header_and_then_into_the_form():
    idp = Provider(Answer(401, b"{}"), tokens(GOOD))
    credentials(idp, secret="p:w").headers()
    pair = base64.b64encode(b"me:p%3Aw").decode()
    assert idp.headers[0]["Authorization"] == f"Basic {pair}"
    assert "client_secret" not in idp.forms[0]
    assert idp.forms[1]["client_secret"] == ["p:w"]


def test_renewed_tokens_are_written_before_they_are_used(tmp_path: Path):
    file = kubeconfig(tmp_path, **{"id-token": OVER, "refresh-token": "r1", "client-id": "me"})
    credentials(Provider(tokens(GOOD, "r2")), id_token=OVER, file=file).headers()
    assert written(file) == {"id-token": GOOD, "refresh-token": "r2", "client-id": "me"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "2020-01-01T00:00:00Z" in file.read_text()
    assert yaml.safe_load(file.read_text())["users"][0]["user"]["flag"] is True
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config"]


def test_a_token_that_cannot_be_written_is_not_used(tmp_path: Path):
    file = kubeconfig(tmp_path)
    found = credentials(Provider(tokens(GOOD)), file=file)
    file.write_text("users: []")
    with pytest.raises(CredentialsError, match="no auth-provider for the user 'u' any more"):
        found.headers()


def test_a_token_that_another_process_renewed_is_taken_over(tmp_path: Path):
    idp = Provider(tokens("unused"))
    file = kubeconfig(tmp_path, **{"id-token": GOOD, "refresh-token": "r2"})
    assert credentials(idp, id_token=OVER, file=file).headers() == {"Authorization": f"Bearer {GOOD}"}
    assert idp.forms == []


def test_the_newest_refresh_token_of_the_file_is_used(tmp_path: Path):
    idp = Provider(tokens(GOOD))
    file = kubeconfig(tmp_path, **{"id-token": OVER, "refresh-token": "r2"})
    credentials(idp, id_token=OVER, file=file).headers()
    assert idp.forms[0]["refresh_token"] == ["r2"]


def test_a_refused_token_is_renewed_once():
    other = jwt(NOW_S + 7200)
    idp = Provider(tokens(other))
    found = credentials(idp, id_token=GOOD)
    refused = found.headers()
    assert found.invalidate(refused)
    assert found.headers() == {"Authorization": f"Bearer {other}"}
    assert found.invalidate(refused)  # the second thread's 401
    assert found.headers() == {"Authorization": f"Bearer {other}"}
    assert len(idp.forms) == 1


def test_without_a_refresh_token_a_401_is_final():
    assert not credentials(Provider(tokens(GOOD)), id_token=GOOD, refresh="").invalidate()


def test_an_expired_token_without_a_refresh_token_says_to_log_in():
    with pytest.raises(CredentialsError, match=r"no refresh token \(log in again"):
        credentials(Provider(tokens(GOOD)), id_token=OVER, refresh="").headers()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            Answer(400, b'{"error":"invalid_grant","error_description":"used\\n twice"}'),
            "400 invalid_grant used twice",
        ),
        (Answer(500, b"<html>"), "500 without a reason"),
        (Answer(200, b"garbage"), "no id_token"),
        (Answer(200, b'{"access_token":"s3cret"}'), "no id_token"),
        (Answer(200, b'{"id_token":"s3cret"}'), "not a JSON web token"),
    ],
)
def test_a_provider_that_gives_no_token_is_one_line(answer: Answer, text: str):
    with pytest.raises(CredentialsError) as found:
        credentials(Provider(answer)).headers()
    assert text in str(found.value)
    assert "s3cret" not in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("answer", [Answer(404, b"{}"), Answer(200, b"{"), Answer(200, b"{}")])
def test_a_provider_without_a_token_endpoint_is_named(answer: Answer):
    idp = Provider(tokens(GOOD))
    idp.discovery = answer
    with pytest.raises(CredentialsError, match="does not say where tokens are renewed: https://idp/realm"):
        credentials(idp).headers()


@pytest.mark.parametrize("exp", [NOW_S, NOW_S + 0.5])
def test_an_expiry_may_have_a_fraction(exp: float):
    assert expires_at_s(jwt(exp)) == exp


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.e30.c", "a.!!!.c", "a.eyJleHAiOiJzb29uIn0.c"])
def test_what_is_no_web_token_is_refused_without_showing_it(token: str):
    with pytest.raises(CredentialsError) as found:
        expires_at_s(token)
    assert not token or token not in str(found.value)


def test_a_lock_that_stays_is_named_with_what_to_do(tmp_path: Path):
    file = kubeconfig(tmp_path)
    (tmp_path / "config.lock").touch()
    clock = FakeClock()
    with pytest.raises(CredentialsError, match=r"remove .*config\.lock"), locked(file, clock):
        pass
    assert clock.now_s() >= LOCK_TIMEOUT_S


def test_of_many_threads_with_one_file_one_renews(tmp_path: Path):
    file = kubeconfig(tmp_path, **{"id-token": OVER, "refresh-token": "r1"})
    idp = Provider(tokens(GOOD, "r2"))
    found: list[Any] = []

    def work() -> None:
        found.append(credentials(idp, id_token=OVER, file=file, clock=SteadyWall()).headers())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [{"Authorization": f"Bearer {GOOD}"}] * 4
    assert len(idp.forms) == 1


def test_a_linked_kubeconfig_stays_a_link(tmp_path: Path):
    file = kubeconfig(tmp_path, **{"id-token": OVER})
    link = tmp_path / "link"
    link.symlink_to(file)
    write_provider_config(link, "u", {"id-token": "new"})
    assert link.is_symlink()
    assert written(file)["id-token"] == "new"

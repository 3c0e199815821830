"""Authentication, impersonation, and the form of a refusal."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import AllowAll
from deltawire.apiserver.access.gate import Gate, forbidden
from deltawire.apiserver.access.policy import read_policy
from deltawire.apiserver.access.rbac import Rbac
from deltawire.apiserver.auth.authenticator import Authenticator, Strangers
from deltawire.apiserver.auth.kubeconfig import Credentials, kubeconfig
from deltawire.apiserver.auth.signer import unpart
from deltawire.apiserver.auth.tokens import BearerToken, Tokens, read_token_file
from deltawire.apiserver.auth.users import (
    ADMIN,
    ANONYMOUS,
    User,
    authenticated,
    service_account,
)
from deltawire.apiserver.options import parse_flags, parse_users
from deltawire.common.errors import ConfigError, StatusError
from tests.unit.apiserver.conftest import Clock

BOB = authenticated("bob", ("dev",))
CERTIFICATE = {
    "subject": (
        (("organizationName", "dev"),),
        (("organizationName", "ops"),),
        (("commonName", "carol"),),
    )
}


def headers(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


def bearer(token: str) -> CIMultiDict[str]:
    return headers(Authorization=f"Bearer {token}")


def authenticator(strangers: Strangers, *tokens: str | BearerToken) -> Authenticator:
    return Authenticator(Tokens(tokens, now=lambda: 100.0), strangers)


def refused(who: Authenticator, given: CIMultiDict[str]) -> bool:
    try:
        who.user(given)
    except StatusError as error:
        assert (error.code, error.reason, error.message) == (401, "Unauthorized", "Unauthorized")
        return True
    return False


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic right", "right", "Bearer right x"])
def test_only_a_known_bearer_token_is_let_in(header: str) -> None:
    assert refused(authenticator(Strangers.REFUSED, "right", "other"), headers(Authorization=header))


def test_plain_tokens_are_the_administrators() -> None:
    who = authenticator(Strangers.REFUSED, "right", "other")
    assert who.user(bearer("right")) == who.user(headers(authorization="bearer other")) == ADMIN


@pytest.mark.parametrize(
    ("strangers", "given", "user"),
    [
        (Strangers.ADMINISTER, headers(), ADMIN),
        (Strangers.ADMINISTER, bearer("of-another-cluster"), None),
        (Strangers.ADMINISTER, headers(Authorization="Basic x"), ADMIN),
        (Strangers.ANONYMOUS, headers(), ANONYMOUS),
        (Strangers.ANONYMOUS, headers(Authorization="Basic x"), ANONYMOUS),
        (Strangers.ANONYMOUS, bearer("of-another-cluster"), None),
        (Strangers.REFUSED, headers(), None),
    ],
)
def test_what_becomes_of_strangers(strangers: Strangers, given: CIMultiDict[str], user: User | None) -> None:
    who = authenticator(strangers)
    assert refused(who, given) if user is None else who.user(given) == user


@pytest.mark.parametrize("strangers", Strangers)
def test_a_token_stands_for_its_user_until_it_expires(strangers: Strangers) -> None:
    tokens = (BearerToken("good", BOB, 100.5), BearerToken("over", BOB, 100.0))
    who = authenticator(strangers, *tokens)
    assert who.user(bearer("good")) == BOB
    assert refused(who, bearer("over"))


@pytest.mark.parametrize("strangers", Strangers)
def test_a_service_accounts_token_expires_and_goes_with_the_account(
    strangers: Strangers, clock: Clock
) -> None:
    accounts = {("default", "robot", "uid-1")}
    tokens = Tokens(now=clock, account_exists=lambda *account: account in accounts)
    who = Authenticator(tokens, strangers)
    robot = service_account("default", "robot", "uid-1")
    token = tokens.mint(robot, [], 600)
    came = who.user(bearer(token))
    assert replace(came, extra={}) == robot
    assert list(came.extra) == ["authentication.kubernetes.io/credential-id"]
    clock.now_s += 599
    assert who.user(bearer(token)) == came
    accounts.clear()
    assert refused(who, bearer(token))
    accounts.add(("default", "robot", "uid-1"))
    clock.now_s += 1
    assert refused(who, bearer(token))


def test_a_token_for_others_is_no_key_to_this_server(clock: Clock) -> None:
    tokens = Tokens(now=clock)
    token = tokens.mint(BOB, ["vault"], 600)
    assert refused(Authenticator(tokens, Strangers.ADMINISTER), bearer(token))
    assert tokens.bearer(token, ["x", "vault"]) == BOB


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "é.é.é", "..", "\udcff", "x.y.\udcff", "\udcff.x"])
def test_what_is_no_token_is_unknown(token: str, clock: Clock) -> None:
    tokens = Tokens(["right"], now=clock)
    assert tokens.bearer(token) is None
    assert not tokens.is_ours(token)


def test_a_changed_token_is_not_believed(clock: Clock) -> None:
    tokens = Tokens(now=clock)
    head, claims, signature = tokens.mint(BOB, [], 600).split(".")
    others = Tokens(now=clock).mint(ADMIN, [], 600).split(".")
    assert tokens.bearer(".".join((head, others[1], signature))) is None
    assert tokens.bearer(".".join(others)) is None
    assert tokens.bearer(".".join((head, claims, signature))) == BOB


def test_a_certificate_names_user_and_groups_and_comes_first() -> None:
    who = authenticator(Strangers.REFUSED, "right")
    carol = User("carol", ("dev", "ops", "system:authenticated"))
    assert who.user(headers(), CERTIFICATE) == carol
    assert who.user(bearer("wrong"), CERTIFICATE) == carol
    nameless = {"subject": ((("organizationName", "dev"),),)}
    assert who.user(bearer("right"), nameless) == ADMIN


def test_a_token_file_is_the_api_servers(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('# who\ns3cret,bob,7,"dev, ops"\n\nplain,eve,,\nlast,mia,9,dev,ops\n')
    assert read_token_file(file) == [
        BearerToken("s3cret", authenticated("bob", ("dev", "ops"), "7")),
        BearerToken("plain", authenticated("eve")),
        BearerToken("last", authenticated("mia", ("dev", "ops"), "9")),
    ]
    tokens = parse_flags(["--token-auth-file", str(file), "--token", "t"]).tokens
    assert tokens == ("t", *read_token_file(file))


@pytest.mark.parametrize("text", ["only-a-token\n", ",bob,1\n", "t,,1\n", b"\xff\xfe,x,y\n"])
def test_a_bad_token_file_is_named(text: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"tokens\.csv"):
        read_token_file(file)
    with pytest.raises(ConfigError, match="nowhere"):
        read_token_file(tmp_path / "nowhere")


def test_users_are_given_with_their_groups() -> None:
    assert parse_users(["bob=dev, system:masters", "system:node:a"]) == {
        "bob": ("dev", "system:masters"),
        "system:node:a": (),
    }
    assert parse_flags(["--user", "bob"]).uses_tls
    assert parse_flags(["--rbac"]).uses_tls
    assert not parse_flags(["--token", "t"]).uses_tls


@pytest.mark.parametrize("users", [["=dev"], [""], ["bob", "bob=dev"], ["deltawire"]])
def test_a_user_without_a_name_of_his_own_is_refused(users: list[str]) -> None:
    with pytest.raises(ConfigError, match="user: "):
        parse_users(users)


def test_a_kubeconfig_has_a_context_for_each_user() -> None:
    config = kubeconfig("https://x", Credentials(token="t"), Credentials("bob"), ca_pem=b"ca")
    assert config["current-context"] == "deltawire"
    assert [user["name"] for user in config["users"]] == ["deltawire", "bob"]
    assert [context["context"]["user"] for context in config["contexts"]] == ["deltawire", "bob"]


ROLES = [
    {
        "metadata": {"name": "support"},
        "rules": [
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["dev"]},
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]},
            {
                "verbs": ["impersonate"],
                "apiGroups": ["authentication.k8s.io"],
                "resources": ["userextras/scopes"],
                "resourceNames": ["read"],
            },
        ],
    }
]
BINDINGS = [
    {
        "metadata": {"name": "support"},
        "roleRef": {"kind": "ClusterRole", "name": "support"},
        "subjects": [{"kind": "User", "name": "mia"}],
    }
]


@pytest.fixture
def gate() -> Gate:
    policy = read_policy(cluster_roles=ROLES, cluster_role_bindings=BINDINGS)
    who = authenticator(Strangers.ANONYMOUS, BearerToken("mia", authenticated("mia")), "admin")
    return Gate(who, Rbac(lambda: policy))


@pytest.mark.parametrize(
    ("given", "user"),
    [
        ({"Impersonate-User": "bob"}, User("bob", ("system:authenticated",))),
        (
            {"Impersonate-User": "bob", "Impersonate-Group": "dev"},
            User("bob", ("dev", "system:authenticated")),
        ),
        (
            {"Impersonate-User": "bob", "Impersonate-Extra-Scopes": "read"},
            User("bob", ("system:authenticated",), "", {"scopes": ("read",)}),
        ),
        (
            {"Impersonate-User": "system:serviceaccount:ns:robot"},
            User(
                "system:serviceaccount:ns:robot",
                ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
            ),
        ),
    ],
)
def test_who_may_impersonate_acts_for_another(gate: Gate, given: dict[str, str], user: User) -> None:
    assert gate.admit(CIMultiDict({**bearer("mia"), **given})) == user


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"Impersonate-User": "eve"},
            'users "eve" is forbidden: User "mia" cannot impersonate resource "users" in API group "" '
            "at the cluster scope",
        ),
        (
            {"Impersonate-User": "bob", "Impersonate-Group": "system:masters"},
            'groups "system:masters" is forbidden: User "mia" cannot impersonate resource "groups" '
            'in API group "" at the cluster scope',
        ),
        (
            {"Impersonate-User": "bob", "Impersonate-Extra-Scopes": "write"},
            'userextras.authentication.k8s.io "write" is forbidden: User "mia" cannot impersonate resource '
            '"userextras/scopes" in API group "authentication.k8s.io" at the cluster scope',
        ),
        (
            {"Impersonate-User": "bob", "Impersonate-Uid": "7"},
            'uids.authentication.k8s.io "7" is forbidden: User "mia" cannot impersonate resource "uids" '
            'in API group "authentication.k8s.io" at the cluster scope',
        ),
    ],
)
def test_every_part_of_an_impersonation_needs_its_permission(
    gate: Gate, given: dict[str, str], told: str
) -> None:
    with pytest.raises(StatusError) as caught:
        gate.admit(CIMultiDict({**bearer("mia"), **given}))
    assert (caught.value.code, caught.value.reason, caught.value.message) == (403, "Forbidden", told)


def test_several_groups_and_values_are_all_taken() -> None:
    open_gate = Gate(authenticator(Strangers.ADMINISTER), AllowAll())
    given = CIMultiDict(
        [
            ("Impersonate-User", "bob"),
            ("Impersonate-Uid", "7"),
            ("impersonate-group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Extra-Example.net%2Fscopes", "x"),
            ("impersonate-extra-example.net%2fscopes", "y"),
        ]
    )
    groups = ("a", "b", "system:authenticated")
    assert open_gate.admit(given) == User("bob", groups, "7", {"example.net/scopes": ("x", "y")})


def test_acting_as_nobody_is_being_anonymous() -> None:
    open_gate = Gate(authenticator(Strangers.ADMINISTER), AllowAll())
    assert open_gate.admit(CIMultiDict({"Impersonate-User": "system:anonymous"})) == ANONYMOUS


def test_parts_of_a_user_without_a_name_are_a_bad_request() -> None:
    open_gate = Gate(authenticator(Strangers.ADMINISTER), AllowAll())
    for name in ("Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-X"):
        with pytest.raises(StatusError) as caught:
            open_gate.admit(CIMultiDict({name: "x"}))
        assert caught.value.code == 400


def test_what_is_public_needs_no_token_where_strangers_are_refused() -> None:
    closed = Gate(authenticator(Strangers.REFUSED, "right"), AllowAll())
    assert closed.admit(headers(), is_public=True) == ANONYMOUS
    with pytest.raises(StatusError):
        closed.admit(headers())


@pytest.mark.parametrize(
    ("asked", "told", "details"),
    [
        (
            {"verb": "list", "resource": "pods", "namespace": "default"},
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" '
            'in the namespace "default"',
            {"kind": "pods"},
        ),
        (
            {"verb": "get", "resource": "deployments", "group": "apps", "name": "w", "subresource": "scale"},
            'deployments.apps "w" is forbidden: User "bob" cannot get resource "deployments/scale" '
            'in API group "apps" at the cluster scope',
            {"kind": "deployments", "group": "apps", "name": "w"},
        ),
        ({"verb": "get", "path": "/x"}, 'forbidden: User "bob" cannot get path "/x"', {}),
        (
            {"verb": "get", "path": "/<b>&"},
            'forbidden: User "bob" cannot get path "/&lt;b&gt;&amp;"',
            {},
        ),
    ],
)
def test_a_refusal_is_told_as_the_api_server_does(
    asked: dict[str, Any], told: str, details: dict[str, str]
) -> None:
    error = forbidden(Attributes(BOB, **asked))
    assert (error.code, error.reason, error.message, error.details) == (403, "Forbidden", told, details)
    assert forbidden(Attributes(BOB, **asked), "RBAC: x").message == f"{told}: RBAC: x"


def test_a_token_can_be_checked_with_the_published_key_alone() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    tokens = Tokens(now=lambda: 100.0)
    header, claims, signature = tokens.mint(ADMIN, [], 600).split(".")
    (key,) = tokens.key_set()["keys"]
    assert json.loads(unpart(header)) == {"alg": "ES256", "kid": key["kid"], "typ": "JWT"}
    x, y = (int.from_bytes(unpart(key[name]), "big") for name in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = unpart(signature)
    numbers = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    public.verify(encode_dss_signature(*numbers), f"{header}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def test_a_signature_that_is_none_is_refused() -> None:
    tokens = Tokens(now=lambda: 100.0)
    header, claims, signature = tokens.mint(ADMIN, [], 600).split(".")
    for wrong in ("", "!", signature[:-4], f"{signature}AAAA", "A" * len(signature)):
        assert tokens.bearer(f"{header}.{claims}.{wrong}") is None
    assert tokens.bearer(f"{header}.{claims}.x.{signature}") is None

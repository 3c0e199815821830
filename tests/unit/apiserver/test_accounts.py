"""The account that pods run as."""

import pytest

from deltawire.apiserver.options import parse_flags
from deltawire.apiserver.server import ApiServer
from tests.support.servers import ServerFactory, session_for


def accounts(server: ApiServer) -> list[tuple[str, str]]:
    with session_for(server) as session:
        session.post(f"{server.url}/api/v1/namespaces", json={"metadata": {"name": "ops"}}).raise_for_status()
        found = session.get(f"{server.url}/api/v1/serviceaccounts").json()["items"]
    return [
        (a["metadata"]["namespace"], a["metadata"]["name"])
        for a in found
        if a["metadata"]["namespace"] == "ops"
    ]


@pytest.mark.parametrize(("makes", "found"), [(True, [("ops", "default")]), (False, [])])
def test_a_namespace_has_an_account_unless_there_are_no_controllers_to_make_it(
    api_server_factory: ServerFactory, makes: bool, found: list[tuple[str, str]]
) -> None:
    assert accounts(api_server_factory(accounts=makes)) == found


def test_the_flag_says_so() -> None:
    assert parse_flags([]).accounts
    assert not parse_flags(["--no-accounts"]).accounts

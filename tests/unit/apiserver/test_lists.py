"""Lists: versions, pages, tokens."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.failures import ExpiredContinue
from deltawire.apiserver.core.lists import Page
from deltawire.apiserver.core.options import ListOptions
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.common.errors import StatusError

ConfigMap = Callable[..., dict[str, Any]]


@pytest.fixture
def five(core: ApiCore, config_map: ConfigMap) -> ApiCore:
    for name in "abcde":
        core.create("configmaps", config_map(name, {"odd": str(name in "ace")}), "default")
    return core


def names(page: Page) -> list[str]:
    return [record.name for record in page.records]


def listed(core: ApiCore, **options: Any) -> Page:
    return core.list("configmaps", options=ListOptions(**options))


def test_a_list_shows_the_stores_version_not_its_items(five: ApiCore) -> None:
    five.create("secrets", {"metadata": {"name": "s"}}, "default")
    assert listed(five).version == five.store.version


def test_a_list_is_sorted_by_namespace_and_name(five: ApiCore, config_map: ConfigMap) -> None:
    five.create("namespaces", {"metadata": {"name": "a-first"}})
    five.create("configmaps", config_map("z"), "a-first")
    assert names(listed(five)) == ["z", "a", "b", "c", "d", "e"]


def test_a_namespace_is_not_mixed_up_with_its_prefix(core: ApiCore, config_map: ConfigMap) -> None:
    for namespace in ("x", "x-y", "x0", "xy"):
        core.create("namespaces", {"metadata": {"name": namespace}})
        core.create("configmaps", config_map(f"in-{namespace}"), namespace)
    assert names(core.list("configmaps", Selection(namespace="x"))) == ["in-x"]


def test_pages_show_one_version_and_hide_later_writes(five: ApiCore, config_map: ConfigMap) -> None:
    first = listed(five, limit=2)
    assert (names(first), first.remaining) == (["a", "b"], 3)
    five.delete("configmaps", "c", "default")
    five.create("configmaps", config_map("bb"), "default")
    five.update("configmaps", config_map("d", x="later"), "d", "default")
    second = listed(five, limit=2, continue_token=first.continue_token)
    assert (names(second), second.remaining, second.version) == (["c", "d"], 1, first.version)
    assert second.records[1].decode()["data"] == {}
    third = listed(five, limit=2, continue_token=second.continue_token)
    assert (names(third), third.continue_token, third.remaining) == (["e"], "", None)
    assert names(listed(five)) == ["a", "b", "bb", "d", "e"]


def test_pages_with_a_selector_do_not_say_how_many_remain(five: ApiCore) -> None:
    selection = parse_selection(five.resource("configmaps"), "", labels="odd=True")
    page = five.list("configmaps", selection, ListOptions(limit=2))
    assert (names(page), page.remaining) == (["a", "c"], None)
    rest = five.list("configmaps", selection, ListOptions(limit=2, continue_token=page.continue_token))
    assert (names(rest), rest.continue_token) == (["e"], "")


def test_a_page_that_is_just_full_has_no_next_one(five: ApiCore) -> None:
    assert listed(five, limit=5).continue_token == ""


def test_an_expired_token_is_410_and_offers_to_go_on_without_consistency(
    five: ApiCore, config_map: ConfigMap
) -> None:
    first = listed(five, limit=2)
    five.create("configmaps", config_map("bb"), "default")
    five.compact("configmaps")
    with pytest.raises(ExpiredContinue) as caught:
        listed(five, limit=2, continue_token=first.continue_token)
    assert caught.value.is_expired
    second = listed(five, limit=2, continue_token=caught.value.continue_token)
    assert (names(second), second.version) == (["bb", "c"], five.store.version)


@pytest.mark.parametrize(
    "token",
    ["x", "!!", "eyJ4IjoxfQ", "ü", urlsafe_b64encode(b'{"rv":99999,"start":""}').decode(), "bnVsbA"],
)
def test_a_token_of_someone_else_is_400(five: ApiCore, token: str) -> None:
    with pytest.raises(StatusError) as caught:
        listed(five, continue_token=token)
    assert caught.value.code == 400
    assert "continue key is not valid" in caught.value.message


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"version": "abc"}, 400),
        ({"version": "-1"}, 400),
        ({"version": "9" * 30}, 400),
        ({"match": "Exact"}, 422),
        ({"version": "0", "match": "Exact"}, 422),
        ({"version": "3", "match": "Sometimes"}, 422),
        ({"version": "99999"}, 504),
        ({"version": "99999", "match": "NotOlderThan"}, 504),
        ({"version": "99999", "match": "Exact"}, 504),
        ({"version": "1", "match": "Exact", "continue_token": "x"}, 422),
        ({"version": "1", "continue_token": "x"}, 400),
    ],
)
def test_versions_that_cannot_be_listed_are_refused(
    five: ApiCore, options: dict[str, str], code: int
) -> None:
    with pytest.raises(StatusError) as caught:
        listed(five, **options)
    assert caught.value.code == code


def test_a_future_version_is_named_as_such(five: ApiCore) -> None:
    with pytest.raises(StatusError) as caught:
        listed(five, version="99999")
    assert caught.value.is_too_large_version
    assert caught.value.retry_after_s == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "now"),
        ({"version": "0"}, "now"),
        ({"match": "NotOlderThan"}, "now"),
        ({"match": "Exact"}, "then"),
        ({"limit": 100}, "then"),
        ({"limit": 100, "match": "NotOlderThan"}, "now"),
    ],
)
def test_which_version_a_list_shows(
    five: ApiCore, config_map: ConfigMap, options: dict[str, Any], expected: str
) -> None:
    then = five.store.version
    five.create("configmaps", config_map("f"), "default")
    page = listed(five, **({"version": str(then)} | options))
    wanted = then if expected == "then" else five.store.version
    assert (page.version, "f" in names(page)) == (wanted, expected == "now")


def test_an_exact_version_that_is_gone_is_410(five: ApiCore) -> None:
    with pytest.raises(StatusError) as caught:
        five.compact()
        listed(five, version=str(five.store.version - 1), match="Exact")
    assert caught.value.is_expired


@pytest.mark.parametrize(
    ("fields", "expected"),
    [("metadata.name=b", ["b"]), ("metadata.name!=b", ["a", "c", "d", "e"]), ("metadata.namespace=x", [])],
)
def test_every_resource_knows_name_and_namespace_as_fields(
    five: ApiCore, fields: str, expected: list[str]
) -> None:
    selection = parse_selection(five.resource("configmaps"), "", fields=fields)
    assert names(five.list("configmaps", selection)) == expected


def test_a_field_that_is_not_supported_is_400(core: ApiCore) -> None:
    with pytest.raises(StatusError) as caught:
        parse_selection(core.resource("configmaps"), "", fields="spec.nodeName=x")
    assert (caught.value.code, str(caught.value)) == (
        400,
        '"spec.nodeName" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )
    with pytest.raises(StatusError) as caught:
        parse_selection(core.resource("pods"), "", fields="spec.hostname=x")
    assert (caught.value.code, str(caught.value)) == (400, "field label not supported: spec.hostname")

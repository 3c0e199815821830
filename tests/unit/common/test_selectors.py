"""Label and field selectors: kubectl's grammar."""

import pytest

from deltawire.common.meta.selectors import parse_field_selector, parse_label_selector

LABELS = {"app": "web", "tier": "front", "example.net/size": "12", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db,x)", True),
        ("app notin (web)", False),
        ("absent notin (x)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("empty=", True),
        ("app in (web),tier=front,!absent", True),
        ("app in (web),tier=back", False),
        ("example.net/size>11", True),
        ("example.net/size<12", False),
        ("app>1", False),
    ],
)
def test_a_label_selector_selects_as_kubectl_does(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text", ["=x", "a b", ",", "a,", "a in x", "a in (x", "a=(", "a=b=c", "a>x", "a=no/slash", "-a=b", "!"]
)
def test_a_label_selector_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="label selector") as caught:
        parse_label_selector(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==a", True),
        ("metadata.name!=a", False),
        ("metadata.name=a,status.phase=Running", True),
        ("metadata.name=a,status.phase!=Running", False),
        ("missing=", True),
        ("missing!=x", True),
        (r"odd=b\,c\=d", True),
    ],
)
def test_a_field_selector_selects_by_text(text: str, matches: bool) -> None:
    fields = {"metadata.name": "a", "status.phase": "Running", "odd": "b,c=d"}
    assert parse_field_selector(text).matches(fields) is matches


@pytest.mark.parametrize("text", ["x", "=x", r"a=\n", "a=b\\", "a=b=c"])
def test_a_field_selector_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="field selector"):
        parse_field_selector(text)

import pytest

from deltawire.client.auth.impersonation import escaped, headers_of
from deltawire.client.config.identity import Impersonation


def test_each_part_has_its_header_and_groups_are_repeated():
    found = headers_of(Impersonation("ada", "7", ("dev", "ops"), (("scopes", ("a", "b")), ("x/y", ("z",)))))
    assert found == (
        ("Impersonate-User", "ada"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-scopes", "a"),
        ("Impersonate-Extra-scopes", "b"),
        ("Impersonate-Extra-x%2Fy", "z"),
    )


def test_nobody_else_needs_no_header():
    assert headers_of(Impersonation()) == ()


@pytest.mark.parametrize(
    ("key", "name"),
    [("plain", "plain"), ("a%b", "a%25b"), ("ä", "%C3%A4"), ("a b:c", "a%20b%3Ac"), ("a.b-c_d~", "a.b-c_d~")],
)
def test_what_a_headers_name_cannot_hold_is_escaped(key: str, name: str):
    assert escaped(key) == name


def test_a_name_beyond_ascii_travels_as_utf8():
    [(_, value)] = headers_of(Impersonation("ädä"))
    assert value.encode("latin-1").decode() == "ädä"

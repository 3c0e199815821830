"""Quantities are written in their canonical form, whatever they were sent as."""

import pytest

from deltawire.apiserver.kinds.quantities import canonical
from deltawire.apiserver.schemas.typed import typed


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        (1, "1"),
        (1_000_000_000, "1G"),
        (0.5, "500m"),
        ("1000", "1k"),
        ("1024Mi", "1Gi"),
        ("0.5Ki", "512"),
        ("1.5Gi", "1536Mi"),
        ("1000m", "1"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("12e6", "12e6"),
        ("0", "0"),
    ],
)
def test_a_quantity_has_one_form(sent: str | float, written: str) -> None:
    assert canonical(sent) == written
    assert canonical(written) == written


@pytest.mark.parametrize("bad", ["", "much", "1 k", "1kk", "--1", "1e"])
def test_what_is_no_quantity_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"quantit"):
        canonical(bad)


def test_numbers_where_quantities_are_declared_are_stored_as_texts() -> None:
    resources = {"limits": {"cpu": 1, "memory": 1_000_000_000}, "requests": {"cpu": 0.5}}
    pod = {"spec": {"containers": [{"name": "c", "image": "x", "resources": resources}]}}
    read, _ = typed("core_v1", "Pod", pod)
    assert read["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "1G"},
        "requests": {"cpu": "500m"},
    }

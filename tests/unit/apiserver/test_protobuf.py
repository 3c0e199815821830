"""Bodies in Kubernetes' protobuf encoding, written here by hand: an encoder of twenty lines."""

import random
from typing import Any

import pytest

from deltawire.apiserver.protobuf.decode import DEPTH_MAX, ProtobufError, decode_object
from deltawire.apiserver.protobuf.schema import SCALARS, SPECIAL, fields_of, message_of_kind


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields: tuple[int, Any]) -> bytes:
    """Numbers as varints, text and bytes with their length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + message((1, message((1, api_version), (2, kind))), (2, raw), (3, ""), (4, ""))


def decoded(api_version: str, kind: str, *fields: tuple[int, Any]) -> dict[str, Any]:
    return decode_object(envelope(api_version, kind, message(*fields)))


def test_maps_bytes_and_metadata_become_what_json_would_say() -> None:
    metadata = message((1, "a"), (3, "n"), (8, message((1, 86400))), (11, message((1, "l"), (2, "x"))))
    got = decoded(
        "v1",
        "ConfigMap",
        (1, metadata),
        (2, message((1, "k"), (2, "v"))),
        (3, message((1, "b"), (2, b"\x00"))),
    )
    assert got == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {
            "name": "a",
            "namespace": "n",
            "creationTimestamp": "1970-01-02T00:00:00Z",
            "labels": {"l": "x"},
        },
        "data": {"k": "v"},
        "binaryData": {"b": "AA=="},
    }


def test_empty_values_that_go_writes_anyway_are_left_out() -> None:
    empty_metadata = message((1, "d"), (2, ""), (7, 0), (8, b""))
    spec = message((1, 0), (4, b""), (5, 0), (7, 0))
    got = decoded("apps/v1", "Deployment", (1, empty_metadata), (2, spec), (3, b""))
    assert got["metadata"] == {"name": "d"}
    assert "status" not in got
    # Zero replicas were asked for (a pointer in Go); the rest is only Go's zero values.
    assert got["spec"] == {"replicas": 0}


def test_an_empty_message_behind_a_pointer_is_kept() -> None:
    volume = message((1, "tmp"), (2, message((2, b""))))
    got = decoded("v1", "Pod", (2, message((1, volume))))
    assert got["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_numbers_below_zero_and_either_kind_of_port() -> None:
    assert decoded("scheduling.k8s.io/v1", "PriorityClass", (2, -5), (3, 0))["value"] == -5
    ports = [message((3, 80), (4, message((1, kind), (2, 8080), (3, "http")))) for kind in (0, 1)]
    service = decoded("v1", "Service", (2, message(*((1, port) for port in ports))))
    assert [port["targetPort"] for port in service["spec"]["ports"]] == [8080, "http"]


def test_micro_times_quantities_and_lists_in_maps() -> None:
    lease = decoded("coordination.k8s.io/v1", "Lease", (2, message((4, message((1, 1), (2, 5_000))))))
    assert lease["spec"]["renewTime"] == "1970-01-01T00:00:01.000005Z"
    hard = message((1, "cpu"), (2, message((1, "500m"))))
    assert decoded("v1", "ResourceQuota", (2, message((1, hard))))["spec"] == {"hard": {"cpu": "500m"}}
    extra = message((1, "scopes"), (2, message((1, "a"), (1, "b"))))
    review = decoded("authorization.k8s.io/v1", "SubjectAccessReview", (2, message((3, "bob"), (5, extra))))
    assert review["spec"] == {"user": "bob", "extra": {"scopes": ["a", "b"]}}


def test_delete_options_are_known_in_every_version() -> None:
    options = decoded("policy/v1", "DeleteOptions", (1, 0), (4, "Background"), (5, "All"))
    assert options["gracePeriodSeconds"] == 0
    assert (options["propagationPolicy"], options["dryRun"]) == ("Background", ["All"])


def test_a_newer_field_is_skipped() -> None:
    assert decoded("v1", "ConfigMap", (1, message((1, "a"))), (900, "new"), (901, 7))["metadata"] == {
        "name": "a"
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"k8s\x00",
        envelope("v1", "Unheard", b""),
        envelope("v1", "ConfigMap", b"\x0a\xff"),
        envelope("v1", "ConfigMap", b"\x0a"),
        envelope("v1", "ConfigMap", b"\xff" * 11),
        envelope("v1", "ConfigMap", b"\x0f"),
        envelope("v1", "ConfigMap", message((1, 5))),
        envelope("v1", "ConfigMap", message((1, message((1, b"\xff"))))),
        envelope("v1", "Event", message((1, b""), (15, message((1, 1 << 62))))),
    ],
)
def test_what_cannot_be_read_is_refused_with_one_kind_of_error(raw: bytes) -> None:
    with pytest.raises(ProtobufError):
        decode_object(raw)


def test_random_bytes_are_read_or_refused() -> None:
    seed = 20261123
    rng = random.Random(seed)
    for _ in range(2_000):
        raw = rng.randbytes(rng.randrange(60))
        try:
            decode_object(envelope("v1", "Pod", raw))
        except ProtobufError:
            continue


def test_every_message_of_the_table_can_be_reached() -> None:
    seen: set[str] = set()
    waiting = [message_of_kind("apps/v1", "Deployment"), message_of_kind("v1", "Pod")]
    while waiting:
        name = waiting.pop()
        if name is None or name in seen:
            continue
        seen.add(name)
        waiting += [field.type for field in fields_of(name).values() if field.type not in SCALARS | SPECIAL]
    assert len(seen) > 100
    assert DEPTH_MAX >= 100

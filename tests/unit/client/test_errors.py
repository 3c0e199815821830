from collections.abc import Callable

import pytest

from deltawire.client import errors
from deltawire.common.errors import DeltawireError, StatusError, TransportError

Predicate = Callable[[BaseException | None], bool]

BY_REASON_OR_CODE: list[tuple[Predicate, str, int]] = [
    (errors.is_not_found, "NotFound", 404),
    (errors.is_conflict, "Conflict", 409),
    (errors.is_invalid, "Invalid", 422),
    (errors.is_gone, "Gone", 410),
    (errors.is_not_acceptable, "NotAcceptable", 406),
    (errors.is_unsupported_media_type, "UnsupportedMediaType", 415),
    (errors.is_method_not_supported, "MethodNotAllowed", 405),
    (errors.is_service_unavailable, "ServiceUnavailable", 503),
    (errors.is_bad_request, "BadRequest", 400),
    (errors.is_unauthorized, "Unauthorized", 401),
    (errors.is_forbidden, "Forbidden", 403),
    (errors.is_timeout, "Timeout", 504),
    (errors.is_internal_error, "InternalError", 500),
    (errors.is_too_many_requests, "TooManyRequests", 429),
    (errors.is_request_entity_too_large, "RequestEntityTooLarge", 413),
]


@pytest.mark.parametrize(("test", "reason", "code"), BY_REASON_OR_CODE)
def test_the_reason_decides_and_without_a_known_one_the_code(test: Predicate, reason: str, code: int) -> None:
    assert test(StatusError(999, reason, "x"))
    assert test(StatusError(code, "", "x"))
    assert test(StatusError(code, "SomethingOfAnExtension", "x"))
    assert not test(StatusError(418, "", "x"))
    assert not test(TransportError("no answer"))
    assert not test(None)


@pytest.mark.parametrize(("test", "reason", "code"), BY_REASON_OR_CODE[:10])
def test_a_known_reason_wins_over_the_code(test: Predicate, reason: str, code: int) -> None:
    assert not test(StatusError(code, "AlreadyExists", "x"))


def test_exists_and_expired_are_known_by_their_reason_alone() -> None:
    assert errors.is_already_exists(StatusError(409, "AlreadyExists", "x"))
    assert not errors.is_already_exists(StatusError(409, "", "x"))
    expired = StatusError(410, "Expired", "x")
    assert errors.is_resource_expired(expired)
    assert not errors.is_gone(expired)
    assert errors.is_server_timeout(StatusError(500, "ServerTimeout", "x"))


def test_a_429_is_too_many_requests_whatever_the_reason_says() -> None:
    assert errors.is_too_many_requests(StatusError(429, "InternalError", "x"))


def test_a_wrapped_error_is_seen_through() -> None:
    try:
        try:
            raise StatusError(404, "NotFound", "x")
        except StatusError as inner:
            raise DeltawireError("while reading the pod") from inner
    except DeltawireError as outer:
        assert errors.is_not_found(outer)
        assert errors.reason_of(outer) == "NotFound"


def test_causes_and_the_delay_come_from_the_status() -> None:
    error = StatusError(
        409, "Conflict", "x", details={"causes": [{"reason": "FieldManagerConflict"}]}, retry_after_s=3.0
    )
    assert errors.has_status_cause(error, "FieldManagerConflict")
    assert not errors.has_status_cause(error, "NamespaceTerminating")
    assert errors.suggests_client_delay_s(error) == 3.0
    assert errors.suggests_client_delay_s(ValueError()) is None

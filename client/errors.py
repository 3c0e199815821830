"""What a failure was, asked of any exception: client-go's ``apierrors.IsNotFound`` and its relatives.

Each test takes whatever was caught, looks through ``raise … from``, and is False for None and for errors that
are not an API server's. The tree itself is in common/errors.
"""

from http import HTTPStatus

from deltawire.common.errors import StatusError

# Where the server gave a reason that is not one of these, the HTTP code decides.
_KNOWN_REASONS = frozenset(
    {
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "AlreadyExists",
        "Conflict",
        "Gone",
        "Invalid",
        "ServerTimeout",
        "Timeout",
        "TooManyRequests",
        "BadRequest",
        "MethodNotAllowed",
        "NotAcceptable",
        "RequestEntityTooLarge",
        "UnsupportedMediaType",
        "InternalError",
        "Expired",
        "ServiceUnavailable",
        "StoreReadError",
    }
)


def status_error_of(error: BaseException | None) -> StatusError | None:
    """The StatusError that ``error`` is, or was raised from."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, StatusError):
            return error
        seen.add(id(error))
        error = error.__cause__
    return None


def reason_of(error: BaseException | None) -> str:
    """The server's reason (``NotFound``); "" where there is none."""
    found = status_error_of(error)
    return found.reason if found is not None else ""


def is_not_found(error: BaseException | None) -> bool:
    return _is(error, "NotFound", HTTPStatus.NOT_FOUND)


def is_already_exists(error: BaseException | None) -> bool:
    return reason_of(error) == "AlreadyExists"


def is_conflict(error: BaseException | None) -> bool:
    return _is(error, "Conflict", HTTPStatus.CONFLICT)


def is_invalid(error: BaseException | None) -> bool:
    return _is(error, "Invalid", HTTPStatus.UNPROCESSABLE_ENTITY)


def is_gone(error: BaseException | None) -> bool:
    """410 with another reason than Expired: ask `is_resource_expired`, too."""
    return _is(error, "Gone", HTTPStatus.GONE)


def is_resource_expired(error: BaseException | None) -> bool:
    return reason_of(error) == "Expired"


def is_not_acceptable(error: BaseException | None) -> bool:
    return _is(error, "NotAcceptable", HTTPStatus.NOT_ACCEPTABLE)


def is_unsupported_media_type(error: BaseException | None) -> bool:
    return _is(error, "UnsupportedMediaType", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def is_method_not_supported(error: BaseException | None) -> bool:
    return _is(error, "MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED)


def is_service_unavailable(error: BaseException | None) -> bool:
    return _is(error, "ServiceUnavailable", HTTPStatus.SERVICE_UNAVAILABLE)


def is_bad_request(error: BaseException | None) -> bool:
    return _is(error, "BadRequest", HTTPStatus.BAD_REQUEST)


def is_unauthorized(error: BaseException | None) -> bool:
    return _is(error, "Unauthorized", HTTPStatus.UNAUTHORIZED)


def is_forbidden(error: BaseException | None) -> bool:
    return _is(error, "Forbidden", HTTPStatus.FORBIDDEN)


def is_timeout(error: BaseException | None) -> bool:
    """The server could not do it in time."""
    return _is(error, "Timeout", HTTPStatus.GATEWAY_TIMEOUT)


def is_server_timeout(error: BaseException | None) -> bool:
    """The server asks to come back later; it has done nothing."""
    return reason_of(error) == "ServerTimeout"


def is_internal_error(error: BaseException | None) -> bool:
    return _is(error, "InternalError", HTTPStatus.INTERNAL_SERVER_ERROR)


def is_too_many_requests(error: BaseException | None) -> bool:
    found = status_error_of(error)
    return found is not None and (
        found.reason == "TooManyRequests" or found.code == HTTPStatus.TOO_MANY_REQUESTS
    )


def is_request_entity_too_large(error: BaseException | None) -> bool:
    found = status_error_of(error)
    return found is not None and (
        found.reason == "RequestEntityTooLarge" or found.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    )


def has_status_cause(error: BaseException | None, cause: str) -> bool:
    """True if the Status names ``cause`` (``FieldManagerConflict``, ``NamespaceTerminating``, …)."""
    found = status_error_of(error)
    causes = (found.details.get("causes") or []) if found is not None else []
    return any(isinstance(entry, dict) and entry.get("reason") == cause for entry in causes)


def suggests_client_delay_s(error: BaseException | None) -> float | None:
    """The seconds that the server asks to wait before the same is tried again, None where it asks for none."""
    found = status_error_of(error)
    return found.retry_after_s if found is not None else None


def _is(error: BaseException | None, reason: str, code: int) -> bool:
    found = status_error_of(error)
    if found is None:
        return False
    return found.reason == reason or (found.reason not in _KNOWN_REASONS and found.code == code)

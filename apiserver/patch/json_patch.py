"""JSON patch (RFC 6902) through the jsonpatch library, with the API's answers to what goes wrong."""

import logging
from typing import Any

import jsonpatch

from deltawire.apiserver.core.failures import Bare
from deltawire.common.errors import StatusError

_log = logging.getLogger(__name__)

# The API server's bound on the operations of one patch.
OPERATIONS_MAX = 10_000
_KINDS = {"str": "string", "int": "number", "float": "number", "NoneType": "null"}


def json_patch(target: dict[str, Any], operations: Any) -> Any:
    """``target`` after ``operations``.

    Raises StatusError 400 for a patch that is not one, 413 for too many operations, 422 where a test fails
    or a path is missing, or for an unknown operation.
    """
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else type(operations).__name__
        told = f"json: cannot unmarshal {_KINDS.get(kind, kind)} into Go value of type []handlers.jsonPatchOp"
        raise StatusError(400, "BadRequest", f"error decoding patch: {told}")
    if len(operations) > OPERATIONS_MAX:
        told = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", told)
    if not all(isinstance(operation, dict) for operation in operations):
        raise StatusError(400, "BadRequest", "error decoding patch: an operation must be an object")
    try:
        return jsonpatch.JsonPatch(operations).apply(target)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        _log.info("JSON patch not applied: %s", error)
        told = "the server rejected our request due to an error in our request"
        raise Bare(422, "Invalid", told) from None

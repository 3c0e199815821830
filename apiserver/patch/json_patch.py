"""JSON patch (RFC 6902) through the jsonpatch library, with the API's answers to what goes wrong."""

from typing import Any

import jsonpatch

from deltawire.common.errors import StatusError

# The API server's bound on the operations of one patch.
OPERATIONS_MAX = 10_000


def json_patch(target: dict[str, Any], operations: Any) -> Any:
    """``target`` after ``operations``.

    Raises StatusError 400 for a patch that is not one, 413 for too many operations, 422 where a test fails
    or a path is missing, or for an unknown operation (fake API server §5.2).
    """
    if not isinstance(operations, list):
        raise StatusError(400, "BadRequest", "a JSON patch must be a list of operations")
    if len(operations) > OPERATIONS_MAX:
        told = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", told)
    if not all(isinstance(operation, dict) for operation in operations):
        raise StatusError(400, "BadRequest", "error decoding patch: an operation must be an object")
    try:
        return jsonpatch.JsonPatch(operations).apply(target)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        told = f"the server rejected our request due to an error in our request: {error}"
        raise StatusError(422, "Invalid", told) from None

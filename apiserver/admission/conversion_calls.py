"""ConversionReview: having objects converted by the webhook of their definition."""

import uuid
from typing import Any

import msgspec

from deltawire.apiserver.admission import calls
from deltawire.apiserver.core.conversions import NeedsConversion
from deltawire.apiserver.core.failures import unnamed
from deltawire.apiserver.core.store import Store

Tree = dict[str, Any]

TIMEOUT_S = 30.0
_GROUP = "apiextensions.k8s.io"
_VERSIONS = ("v1", "v1beta1")


async def convert(store: Store, needed: NeedsConversion) -> None:
    """Ask the webhook, and remember what it says. Raises StatusError 500."""
    begins = (
        f"conversion webhook for {needed.objects[0]['apiVersion']}, Kind={needed.converter.kind} failed: "
    )
    config = needed.converter.config
    known = [name for name in config.get("conversionReviewVersions") or () if name in _VERSIONS]
    if not known:
        raise unnamed(f"{begins}no conversionReviewVersions are known")
    uid = str(uuid.uuid4())
    review = {
        "kind": "ConversionReview",
        "apiVersion": f"{_GROUP}/{known[0]}",
        "request": {"uid": uid, "desiredAPIVersion": needed.api_version, "objects": needed.objects},
    }
    client = config.get("clientConfig") or {}
    try:
        place = calls.place_of(store, client)
        answer = await calls.post(place, client, review, TIMEOUT_S)
        converted = _objects(answer, uid, needed)
    except (calls.CallFailed, ValueError) as error:
        raise unnamed(f"{begins}{str(error).removeprefix('failed to call webhook: ')}") from None
    for given, made in zip(needed.objects, converted, strict=True):
        needed.converter.remember(given, made)


def _objects(answer: bytes, uid: str, needed: NeedsConversion) -> list[Tree]:
    """Raises ValueError for what is no answer, or says that it failed."""
    try:
        tree: Any = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise ValueError(f"couldn't decode the answer: {error}") from None
    response = tree.get("response") if isinstance(tree, dict) else None
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ValueError(
            str(result.get("message") or f'response.result.status was "{result.get("status", "")}"')
        )
    converted = response.get("convertedObjects") or []
    if len(converted) != len(needed.objects):
        raise ValueError(f"expected {len(needed.objects)} converted objects, got {len(converted)}")
    for position, (given, made) in enumerate(zip(needed.objects, converted, strict=True)):
        where = f"response.convertedObjects[{position}]"
        if not isinstance(made, dict) or made.get("apiVersion") != needed.api_version:
            raise ValueError(f"invalid converted object at index {position}: invalid apiVersion")
        if made.get("kind") != needed.converter.kind:
            raise ValueError(f"{where} has wrong kind {made.get('kind')!r}")
        metadata = made.get("metadata") or {}
        for name in ("name", "namespace", "uid"):
            if metadata.get(name) != (given.get("metadata") or {}).get(name):
                raise ValueError(
                    f"invalid metadata in converted object at index {position}: {name} was changed"
                )
        made["metadata"] = metadata
    return converted

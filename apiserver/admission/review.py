"""AdmissionReview: what a webhook is sent, and what its answer means."""

from base64 import b64decode
from typing import Any, NamedTuple

import msgspec

from deltawire.apiserver.admission.attempt import Attempt, described
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

VERSIONS = ("v1", "v1beta1")
_REVIEW = "admission.k8s.io"
_BAD_REQUEST = 400


class BadAnswer(ValueError):
    """A webhook answers with what is no answer to its review."""


class Verdict(NamedTuple):
    """``patch`` are the operations of a JSON patch, empty for none."""

    patch: list[Tree]
    warnings: list[str]


def review(attempt: Attempt, version: str, shown: Resource, uid: str) -> Tree:
    """The review of an attempt in ``version`` of the API, with objects in the version of ``shown``."""
    obj, old = attempt.in_version(shown)
    request = {
        "uid": uid,
        **described(attempt, shown),
        "object": obj,
        "oldObject": old,
        "dryRun": attempt.is_dry_run,
        "options": attempt.options,
    }
    return {"kind": "AdmissionReview", "apiVersion": f"{_REVIEW}/{version}", "request": request}


def version_of(webhook: Tree) -> str:
    """The first version that both sides know; "" for none."""
    return next((name for name in webhook.get("admissionReviewVersions") or () if name in VERSIONS), "")


def verdict(webhook: str, answer: bytes, version: str, uid: str, *, mutating: bool) -> Verdict:
    """What an answer means. Raises BadAnswer, and StatusError for a refusal."""
    try:
        tree: Any = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise BadAnswer(f"failed to call webhook: couldn't decode the answer: {error}") from None
    response = tree.get("response") if isinstance(tree, dict) else None
    if not isinstance(response, dict):
        raise BadAnswer("received invalid webhook response: webhook response was absent")
    if version == "v1":
        _check(tree, response, uid, mutating=mutating)
    warnings = [str(text) for text in response.get("warnings") or ()]
    if not response.get("allowed"):
        raise _refusal(webhook, response.get("status"))
    return Verdict(_patch(response) if mutating else [], warnings)


def _check(tree: Tree, response: Tree, uid: str, *, mutating: bool) -> None:
    begins = "received invalid webhook response: "
    if response.get("uid") != uid:
        raise BadAnswer(f'{begins}expected response.uid="{uid}", got "{response.get("uid", "")}"')
    api_version, kind = tree.get("apiVersion", ""), tree.get("kind", "")
    if (api_version, kind) != (f"{_REVIEW}/v1", "AdmissionReview"):
        expected = f"{_REVIEW}/v1, Kind=AdmissionReview"
        raise BadAnswer(f"{begins}expected webhook response of {expected}, got {api_version}, Kind={kind}")
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating and (patch or kind):
        what = "patch" if patch else "patchType"
        raise BadAnswer(f"{begins}validating webhook may not return response.{what}")
    if patch and not kind:
        raise BadAnswer(f"{begins}webhook returned response.patch but not response.patchType")
    if kind and not patch:
        raise BadAnswer(f"{begins}webhook returned response.patchType but not response.patch")
    if kind and kind != "JSONPatch":
        raise BadAnswer(f'unsupported patch type "{kind}"')


def _patch(response: Tree) -> list[Tree]:
    if not response.get("patch"):
        return []
    try:
        patch = msgspec.json.decode(b64decode(response["patch"], validate=True), type=list[dict[str, Any]])
    except (ValueError, msgspec.DecodeError) as error:
        raise BadAnswer(f"received undecodable patch in webhook response: {error}") from None
    return patch


def _refusal(webhook: str, status: Any) -> StatusError:
    """The webhook's own Status, which says who refused."""
    status = status if isinstance(status, dict) else {}
    denied = f'admission webhook "{webhook}" denied the request'
    message, reason = str(status.get("message") or ""), str(status.get("reason") or "")
    told = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    code = status.get("code") or 0
    details = status.get("details")
    return StatusError(
        code if isinstance(code, int) and code >= _BAD_REQUEST else _BAD_REQUEST,
        reason,
        told,
        details=details if isinstance(details, dict) else None,
    )

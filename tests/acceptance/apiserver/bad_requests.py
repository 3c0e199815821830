"""Requests that a real server refuses, with its code and reason. ``None`` as reason: plain text, no Status."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
WIDGETS = "/apis/example.net/v1/namespaces/default/widgets"
BODY_BYTES_MAX = 3 << 20

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Bad:
    """``message`` is searched in the Status' message, or in the text where there is no Status."""

    method: str
    path: str
    code: int
    reason: str | None
    message: str = ""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    def __str__(self) -> str:
        kind = self.headers.get("Content-Type", "")
        return f"{self.method} {self.path[:80]} {str(self.body)[:60]} {kind}"


def a_map(name: str = "new", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} | more


def post(
    path: str, body: Any, code: int, reason: str, message: str = "", kind: str = "application/json"
) -> Bad:
    return Bad("POST", path, code, reason, message, body, {"Content-Type": kind})


def put(path: str, body: Any, code: int, reason: str, message: str = "") -> Bad:
    return Bad("PUT", path, code, reason, message, body, {"Content-Type": "application/json"})


def patch(path: str, kind: str, body: Any, code: int, reason: str, message: str = "") -> Bad:
    return Bad("PATCH", path, code, reason, message, body, {"Content-Type": kind})


def get(path: str, code: int, reason: str | None, message: str = "", accept: str = "*/*") -> Bad:
    return Bad("GET", path, code, reason, message, headers={"Accept": accept})


def delete(path: str, code: int, reason: str, message: str = "", body: Any = None) -> Bad:
    return Bad("DELETE", path, code, reason, message, body)


PATHS = (
    get("/nosuch", 404, None, "404 page not found"),
    get("/api/v2", 404, "NotFound", "the server could not find the requested resource"),
    get("/apis/nosuch.example.net", 404, None, "404 page not found"),
    get("/apis/apps/v9/deployments", 404, "NotFound", "the server could not find the requested resource"),
    get("/apis/apps/v1/nosuch", 404, "NotFound", "the server could not find the requested resource"),
    get(f"{PODS}/p/nosuch", 404, None),
    get(f"{MAPS}/a/scale", 404, None),
    get("/api/v1/configmaps/a", 404, "NotFound", "the server could not find the requested resource"),
    post("/api/v1/configmaps", a_map(), 405, "MethodNotAllowed"),
    get(f"{MAPS}/none", 404, "NotFound", 'configmaps "none" not found'),
    get(
        "/apis/apps/v1/namespaces/default/deployments/none",
        404,
        "NotFound",
        'deployments.apps "none" not found',
    ),
    get(f"{MAPS}/a", 406, "NotAcceptable", "406: Not Acceptable", accept="text/csv"),
    get("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405, "MethodNotAllowed"),
    put(
        MAPS,
        a_map("a"),
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    ),
    post(f"{MAPS}/a", a_map("a"), 405, "MethodNotAllowed"),
    Bad("PATCH", MAPS, 405, "MethodNotAllowed", body={}, headers={"Content-Type": MERGE}),
    get(f"{PODS}/none/log", 404, "NotFound", 'pods "none" not found'),
    get(f"{PODS}/p/log?container=x", 400, "BadRequest", "container x is not valid for pod p"),
    post(f"{PODS}/none/eviction", {"metadata": {"name": "none"}}, 404, "NotFound"),
)
QUERIES = (
    get(f"{MAPS}?labelSelector=a%20in%20b", 400, "BadRequest", "unable to parse requirement"),
    get(f"{MAPS}?labelSelector=-x%3D1", 400, "BadRequest"),
    get(f"{MAPS}?labelSelector=a%3Db%20c", 400, "BadRequest"),
    get(f"{MAPS}?fieldSelector=data.x%3D1", 400, "BadRequest", '"data.x" is not a known field selector'),
    get(f"{MAPS}?fieldSelector=metadata.name", 400, "BadRequest", "can't understand 'metadata.name'"),
    get(f"{WIDGETS}?fieldSelector=spec.size%3D1", 400, "BadRequest", "field label not supported: spec.size"),
    get(f"{MAPS}?limit=abc", 400, "BadRequest"),
    get(f"{MAPS}?watch=1&timeoutSeconds=abc", 400, "BadRequest"),
    get(f"{MAPS}?resourceVersion=abc", 400, "BadRequest"),
    get(f"{MAPS}?watch=1&resourceVersion=abc", 500, None, "strconv.ParseUint"),
    get(
        f"{MAPS}?resourceVersion=99999999", 504, "Timeout", "Too large resource version: 99999999, current: "
    ),
    get(f"{MAPS}/a?resourceVersion=99999999", 504, "Timeout", "Too large resource version"),
    get(f"{MAPS}?resourceVersionMatch=Exact", 422, "Invalid", "resourceVersionMatch: Forbidden"),
    get(
        f"{MAPS}?resourceVersion=1&resourceVersionMatch=Sideways",
        422,
        "Invalid",
        "resourceVersionMatch: Unsupported value",
    ),
    get(
        f"{MAPS}?resourceVersion=0&resourceVersionMatch=Exact",
        422,
        "Invalid",
        "resourceVersionMatch: Forbidden",
    ),
    get(f"{MAPS}?continue=abc", 400, "BadRequest", "continue key is not valid"),
    get(
        f"{MAPS}?continue=abc&resourceVersionMatch=Exact&resourceVersion=1",
        422,
        "Invalid",
        "resourceVersionMatch: Forbidden",
    ),
    get(f"{MAPS}?sendInitialEvents=true", 422, "Invalid", "sendInitialEvents: Forbidden"),
    get(f"{MAPS}?watch=1&sendInitialEvents=true", 422, "Invalid", "resourceVersionMatch: Forbidden"),
    get(
        f"{MAPS}?watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
        422,
        "Invalid",
        "resourceVersionMatch: Forbidden",
    ),
)
WRITES = (
    post(MAPS, "{", 400, "BadRequest"),
    post(MAPS, b"\xff\xfe", 400, "BadRequest"),
    post(MAPS, "", 400, "BadRequest"),
    post(MAPS, "[]", 400, "BadRequest"),
    post(MAPS, "null", 422, "Invalid", "metadata.name: Required value"),
    post(MAPS, "a: [", 400, "BadRequest", kind="application/yaml"),
    post(MAPS, a_map(), 415, "UnsupportedMediaType", "unsupported|unknown format", kind="text/plain"),
    post(MAPS, b"k8s\x00\xff", 415, "UnsupportedMediaType", kind="application/vnd.kubernetes.protobuf"),
    post(MAPS, b" " * (BODY_BYTES_MAX + 1), 413, "RequestEntityTooLarge", "limit is 3145728"),
    post(
        MAPS,
        a_map(kind="Secret"),
        400,
        "BadRequest",
        'Secret in version "v1" cannot be handled as a ConfigMap',
    ),
    post(MAPS, a_map(kind="Nosuch"), 400, "BadRequest"),
    post(MAPS, a_map(apiVersion="v2"), 400, "BadRequest"),
    post(
        MAPS,
        a_map(apiVersion="apps/v1", kind="Deployment"),
        400,
        "BadRequest",
        r"converting \(v1.Deployment\) to \(core.ConfigMap\): unknown conversion",
    ),
    post(MAPS, a_map(metadata={}), 422, "Invalid", "name or generateName is required"),
    post(MAPS, a_map("Bad_Name"), 422, "Invalid", 'metadata.name: Invalid value: "Bad_Name"'),
    post(MAPS, a_map("x" * 254), 422, "Invalid", "must be no more than 253 characters"),
    post(
        MAPS,
        a_map(metadata={"name": "m", "namespace": "other"}),
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    post(
        MAPS,
        a_map(metadata={"name": "m", "labels": {"a b": "c"}}),
        422,
        "Invalid",
        "metadata.labels: Invalid value",
    ),
    post(
        MAPS,
        a_map(metadata={"name": "m", "labels": {"a": "x" * 64}}),
        422,
        "Invalid",
        "metadata.labels: Invalid value",
    ),
    post(
        MAPS,
        a_map(metadata={"name": "m", "labels": {"a": 1}}),
        400,
        "BadRequest",
        "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ),
    post(
        MAPS,
        a_map(metadata={"name": "m", "annotations": {"a": "x" * 262145}}),
        422,
        "Invalid",
        "metadata.annotations: Too long",
    ),
    post(
        MAPS, a_map(metadata={"name": "m", "finalizers": ["no slash"]}), 422, "Invalid", "metadata.finalizers"
    ),
    post(MAPS, a_map(metadata=[]), 400, "BadRequest"),
    post(
        MAPS,
        a_map(data={"x": 1}),
        400,
        "BadRequest",
        "cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ),
    post(MAPS, a_map("a"), 409, "AlreadyExists", 'configmaps "a" already exists'),
    post("/api/v1/namespaces/none/configmaps", a_map(), 404, "NotFound", 'namespaces "none" not found'),
    post(f"{MAPS}?dryRun=Some", a_map(), 422, "Invalid", 'dryRun: Unsupported value: ."Some"'),
    post(
        f"{MAPS}?fieldValidation=Sideways",
        a_map(),
        422,
        "Invalid",
        'fieldValidation: Unsupported value: "Sideways"',
    ),
    post(f"{MAPS}?fieldManager={'m' * 129}", a_map(), 422, "Invalid", "fieldManager"),
    post(
        f"{MAPS}?fieldValidation=Strict",
        a_map(nope=1),
        400,
        "BadRequest",
        'strict decoding error: unknown field "nope"',
    ),
    post(
        f"{MAPS}?fieldValidation=Strict",
        '{"metadata":{"name":"d"},"data":{"a":"1","a":"2"}}',
        400,
        "BadRequest",
        'strict decoding error: duplicate field "data.a"',
    ),
    post(
        "/api/v1/namespaces",
        {"metadata": {"name": "a.b"}},
        422,
        "Invalid",
        'metadata.name: Invalid value: "a.b"',
    ),
    post(
        WIDGETS,
        {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": "new"}, "spec": {}},
        422,
        "Invalid",
        "spec.size: Required value",
    ),
    post(WIDGETS, {"metadata": {"name": "w"}, "spec": {"size": 1}}, 400, "BadRequest"),
    put(
        f"{MAPS}/a",
        a_map("b"),
        400,
        "BadRequest",
        r"the name of the object \(b\) does not match the name on the URL \(a\)",
    ),
    put(
        f"{MAPS}/a",
        a_map(metadata={"name": "a", "resourceVersion": "1"}),
        409,
        "Conflict",
        "the object has been modified",
    ),
    put(
        f"{MAPS}/a",
        a_map(metadata={"name": "a", "uid": "x"}),
        409,
        "Conflict",
        "Precondition failed: UID in precondition: x",
    ),
    put(f"{MAPS}/a", a_map(metadata={"name": "a", "resourceVersion": "abc"}), 500, None, "strconv.ParseUint"),
    put(f"{MAPS}/none", a_map("none"), 404, "NotFound"),
    put(
        f"{WIDGETS}/w",
        {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}},
        422,
        "Invalid",
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    ),
    delete(f"{MAPS}/none", 404, "NotFound"),
    delete(
        f"{MAPS}/a",
        409,
        "Conflict",
        "the UID in the precondition .x. does not match",
        {"preconditions": {"uid": "x"}},
    ),
    delete(
        f"{MAPS}/a",
        409,
        "Conflict",
        "the ResourceVersion in the precondition",
        {"preconditions": {"resourceVersion": "1"}},
    ),
    delete(
        f"{MAPS}/a",
        422,
        "Invalid",
        'propagationPolicy: Unsupported value: "Sideways"',
        {"propagationPolicy": "Sideways"},
    ),
    delete(f"{MAPS}/a?propagationPolicy=Sideways", 422, "Invalid", "propagationPolicy: Unsupported value"),
    delete(f"{MAPS}/a", 422, "Invalid", 'dryRun: Unsupported value: ."Some"', {"dryRun": ["Some"]}),
    delete(
        f"{MAPS}/a",
        422,
        "Invalid",
        "orphanDependents and deletionPropagation cannot be both set",
        {"orphanDependents": True, "propagationPolicy": "Orphan"},
    ),
    delete(f"{MAPS}/a", 400, "BadRequest", body="{"),
)
PATCHES = (
    patch(
        f"{MAPS}/a",
        "text/plain",
        "{}",
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
    ),
    patch(f"{MAPS}/a", JSON_PATCH, "{", 400, "BadRequest"),
    patch(f"{MAPS}/a", JSON_PATCH, {"op": "add"}, 400, "BadRequest"),
    patch(f"{MAPS}/a", JSON_PATCH, [{"op": "fly", "path": "/x"}], 422, "Invalid"),
    patch(f"{MAPS}/a", JSON_PATCH, [{"op": "remove", "path": "/data/none"}], 422, "Invalid"),
    patch(f"{MAPS}/a", JSON_PATCH, [{"op": "test", "path": "/data/x", "value": "9"}], 422, "Invalid"),
    patch(
        f"{MAPS}/a",
        JSON_PATCH,
        [{"op": "test", "path": "/x", "value": 1}] * 10_001,
        413,
        "RequestEntityTooLarge",
        "The allowed maximum operations in a JSON patch is 10000, got 10001",
    ),
    patch(f"{MAPS}/a", MERGE, "{", 400, "BadRequest"),
    patch(f"{MAPS}/a", MERGE, [], 400, "BadRequest"),
    patch(
        f"{MAPS}/a",
        MERGE,
        {"metadata": {"resourceVersion": "1"}},
        409,
        "Conflict",
        "the object has been modified",
    ),
    patch(
        f"{MAPS}/a",
        MERGE,
        {"metadata": {"name": "b"}},
        400,
        "BadRequest",
        r"the name of the object \(b\) does not match",
    ),
    patch(
        f"{MAPS}/a",
        MERGE,
        {"metadata": {"labels": {"a": "b c"}}},
        422,
        "Invalid",
        "metadata.labels: Invalid value",
    ),
    patch(
        f"{MAPS}/a",
        MERGE,
        {"data": {"x": 1}},
        422,
        "Invalid",
        "patch: Invalid value: .*cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ),
    patch(f"{MAPS}/a?force=true", MERGE, {}, 422, "Invalid", "force: Forbidden"),
    patch(f"{MAPS}/a?dryRun=Some", MERGE, {}, 422, "Invalid", "dryRun: Unsupported value"),
    patch(f"{MAPS}/a?fieldValidation=Strict", MERGE, {"nope": 1}, 422, "Invalid", 'unknown field "nope"'),
    patch(f"{MAPS}/none", MERGE, {}, 404, "NotFound"),
    patch(f"{MAPS}/a", STRATEGIC, "{", 400, "BadRequest"),
    patch(f"{WIDGETS}/w", STRATEGIC, {}, 415, "UnsupportedMediaType"),
    patch(
        f"{MAPS}/a",
        APPLY,
        a_map("a"),
        422,
        "Invalid",
        "fieldManager: Required value: is required for apply patch",
    ),
    patch(f"{MAPS}/a?fieldManager=m", APPLY, "a: [", 400, "BadRequest"),
    patch(f"{MAPS}/a?fieldManager=m", APPLY, a_map("b"), 400, "BadRequest"),
    patch(
        f"{MAPS}/a?fieldManager=m",
        APPLY,
        a_map(metadata={"name": "a", "managedFields": [{"manager": "x"}]}),
        400,
        "BadRequest",
        "metadata.managedFields must be nil",
    ),
    patch(f"{MAPS}/a?fieldManager={'m' * 129}", APPLY, a_map("a"), 422, "Invalid", "fieldManager"),
    patch(
        f"{MAPS}/a?fieldManager=m",
        APPLY,
        a_map("a", data={"x": "9"}),
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with",
    ),
    patch(f"{DEPLOYMENTS}/d/scale", MERGE, {"spec": {"replicas": "x"}}, 422, "Invalid"),
    patch(
        f"{DEPLOYMENTS}/d/scale",
        MERGE,
        {"spec": {"replicas": -1}},
        422,
        "Invalid",
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
)
ALL = PATHS + QUERIES + WRITES + PATCHES

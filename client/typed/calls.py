"""The requests of what single resources can do beyond the verbs: evict, bind, logs, scale, tokens. Pure.

Not here: sending them (``expansions``, client/aio).
"""

from typing import Any, TypedDict

from deltawire.client.options import (
    ApplyOptions,
    DeleteOptions,
    PatchOptions,
    WriteOptions,
    delete_body,
    params_of,
)
from deltawire.client.rest.request import PATCH_TYPES
from deltawire.client.tools.objects import field, metadata
from deltawire.client.verbs import R, Verbs, to_mapping
from deltawire.common.errors import ConfigError


class LogOptions(TypedDict, total=False):
    """``since_time`` is RFC 3339. ``container`` may be left out where a pod has one."""

    container: str
    follow: bool
    previous: bool
    timestamps: bool
    since_s: int | None
    since_time: str
    tail_lines: int | None
    limit_bytes: int | None


def scale(verbs: Verbs[R], name: str) -> R:
    return verbs.request("GET", name, "scale")


def update_scale(verbs: Verbs[R], name: str, wanted: Any, options: WriteOptions) -> R:
    return verbs.request("PUT", name, "scale").params(params_of(options, WriteOptions)).body(wanted)


def apply_scale(
    verbs: Verbs[R], name: str, wanted: Any, field_manager: str, force: bool, options: ApplyOptions
) -> R:
    body = to_mapping(wanted, "autoscaling/v1", "Scale")
    params: PatchOptions = {"field_manager": field_manager, "force": force, **options}
    request = verbs.request("PATCH", name, "scale").params(params_of(params, PatchOptions)).body(body)
    return request.set_header("Content-Type", PATCH_TYPES["apply"])


def proxied(verbs: Verbs[R], name: str, path: tuple[str, ...], scheme: str, port: str) -> R:
    target = f"{scheme}:{name}:{port}" if scheme else f"{name}:{port}" if port else name
    return verbs.request("GET", target, "proxy").suffix(*path)


def evict(verbs: Verbs[R], name: str, options: DeleteOptions) -> R:
    body: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": verbs.namespace},
    }
    asked = delete_body(options)
    if asked is not None:
        body["deleteOptions"] = asked
    # A 429 here is an answer, not a busy server: sending it again at once cannot help.
    return verbs.request("POST", name, "eviction").max_retries(0).body(body)


def logs(verbs: Verbs[R], name: str, options: LogOptions) -> R:
    request = verbs.request("GET", name, "log").set_header("Accept", "*/*")
    if options.get("follow"):
        request.read_timeout(None)
    return request.params(
        {
            "container": options.get("container"),
            **{flag: True for flag in ("follow", "previous", "timestamps") if options.get(flag)},
            "sinceSeconds": options.get("since_s"),
            "sinceTime": options.get("since_time"),
            "tailLines": options.get("tail_lines"),
            "limitBytes": options.get("limit_bytes"),
        }
    )


def post_under(verbs: Verbs[R], name: str, subresource: str, body: Any, options: WriteOptions) -> R:
    """A binding, a token's request."""
    return verbs.request("POST", name, subresource).params(params_of(options, WriteOptions)).body(body)


def put_under(verbs: Verbs[R], obj: Any, subresource: str, options: WriteOptions) -> R:
    """An object under its own name, for a sub-resource."""
    request = verbs.request("PUT", metadata(obj, "name"), subresource)
    return request.params(params_of(options, WriteOptions)).body(obj)


def about(obj: Any) -> str:
    """The field selector for events about ``obj``. Raises ConfigError if it has no name.

    What it does not say is not asked for: items of a typed list have no kind, but a uid. Events about an
    object without a namespace stand in ``default``.
    """
    wanted = {
        "name": metadata(obj, "name"),
        "namespace": metadata(obj, "namespace"),
        "kind": str(field(obj, "kind") or ""),
        "uid": metadata(obj, "uid"),
    }
    if not wanted["name"]:
        raise ConfigError("an object needs a name to have events")
    return ",".join(f"involvedObject.{name}={value}" for name, value in wanted.items() if value)

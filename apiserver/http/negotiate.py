"""In which form a client wants its answer (the Accept header)."""

from enum import Enum

from deltawire.apiserver.core.failures import Bare
from deltawire.common.errors import StatusError

META_GROUP = "meta.k8s.io"


class Form(Enum):
    """JSON as it is stored, YAML, protobuf, a table for people, or metadata only."""

    OBJECT = "object"
    YAML = "yaml"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    YAML_TABLE = "Table in YAML"
    TABLE_BETA = "Table of v1beta1"
    PROTOBUF = "protobuf"

    @property
    def is_yaml(self) -> bool:
        return self in (Form.YAML, Form.YAML_TABLE)


_AS = {
    "Table": Form.TABLE,
    "PartialObjectMetadata": Form.METADATA,
    "PartialObjectMetadataList": Form.METADATA,
}
_PLAIN_JSON = ("application/json", "application/*", "*/*")
_YAMLS = ("application/yaml", "text/yaml")
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_STREAMS = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"


def negotiate(
    accept: str,
    *,
    is_list: bool = False,
    internal: str = "",
    has_protobuf: bool = False,
    is_long: bool = False,
) -> Form:
    """The first acceptable clause wins, higher ``q`` first. Raises StatusError 406 if there is none.

    ``has_protobuf`` says whether the kind can be told in protobuf. Of what is long (a list, a watch) protobuf
    comes last: JSON is at hand, and every client that prefers protobuf reads it as well.

    ``internal`` is what the API server calls the object's type inside (``core.ConfigMap``): it is told where
    metadata of a list is asked of one object, or the other way round.
    """
    if not accept.strip():
        return Form.OBJECT
    is_known, takes_protobuf = False, False
    clauses = [_clause(text) for text in accept.split(",")]
    for media_type, parameters, quality in sorted(clauses, key=lambda clause: -clause[2]):
        if quality <= 0:
            continue
        wanted = parameters.get("as", "")
        is_known |= media_type in (*_PLAIN_JSON, *_YAMLS)
        if not wanted:
            if media_type in _PLAIN_JSON:
                return Form.OBJECT
            if media_type in _YAMLS:
                return Form.YAML
            if media_type == PROTOBUF_TYPE and has_protobuf:
                if not is_long:
                    return Form.PROTOBUF
                takes_protobuf = True
        elif parameters.get("g") == META_GROUP and wanted in _AS:
            form = _AS[wanted]
            if form is Form.METADATA and parameters.get("v") == "v1" and media_type in _PLAIN_JSON:
                _check_number(wanted, is_list=is_list, internal=internal)
                return form
            version = parameters.get("v")
            if form is Form.TABLE and media_type in _PLAIN_JSON and version in ("v1", "v1beta1"):
                return form if version == "v1" else Form.TABLE_BETA
            if form is Form.TABLE and media_type in _YAMLS and version == "v1":
                return Form.YAML_TABLE
    if takes_protobuf:
        return Form.PROTOBUF
    if is_known:
        raise not_acceptable()
    available = f"{MEDIA_TYPES}, {_STREAMS}" if is_list else MEDIA_TYPES
    told = f"406: Not Acceptable\n\nAvailable representations: {available}"
    raise Bare(406, "NotAcceptable", told)


def not_acceptable() -> StatusError:
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {MEDIA_TYPES}")


def _check_number(wanted: str, *, is_list: bool, internal: str) -> None:
    is_for_lists = wanted.endswith("List")
    if not internal or is_for_lists is is_list:
        return
    what = "is not a list" if is_for_lists else "is a list"
    shown = f"*{internal}List" if is_list else f"*{internal}"
    told = f"you requested {wanted}, but the requested object {what} ({shown})"
    raise StatusError(406, "NotAcceptable", told)


def _clause(text: str) -> tuple[str, dict[str, str], float]:
    media_type, *rest = (part.strip() for part in text.split(";"))
    parameters = dict(part.partition("=")[::2] for part in rest)
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        quality = 0.0
    return media_type.lower(), parameters, quality


DISCOVERY_GROUP = "apidiscovery.k8s.io"
_DISCOVERY_VERSION = "v2"


def aggregated_version(accept: str) -> str:
    """The version of aggregated discovery the client would rather have; "" where it wants plain documents.

    Raises StatusError 406 for a client that takes nothing but a version that is gone.
    """
    is_refused = False
    for media_type, parameters, quality in (_clause(text) for text in accept.split(",") if accept.strip()):
        if media_type in ("*/*", "application/*") and quality > 0:
            return ""
        if media_type != "application/json" or quality <= 0:
            continue
        if parameters.get("g") == DISCOVERY_GROUP and parameters.get("as") == "APIGroupDiscoveryList":
            if parameters.get("v") == _DISCOVERY_VERSION:
                return _DISCOVERY_VERSION
            is_refused = True
        elif not parameters.get("as"):
            return ""
    if is_refused:
        raise not_acceptable()
    return ""

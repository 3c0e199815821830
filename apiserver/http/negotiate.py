"""In which form a client wants its answer (the Accept header)."""

from enum import Enum

from deltawire.common.errors import StatusError

META_GROUP = "meta.k8s.io"


class Form(Enum):
    """JSON as it is stored, YAML, a table for people, or metadata only."""

    OBJECT = "object"
    YAML = "yaml"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


_AS = {
    "Table": Form.TABLE,
    "PartialObjectMetadata": Form.METADATA,
    "PartialObjectMetadataList": Form.METADATA,
}
_PLAIN_JSON = ("application/json", "application/*", "*/*")


def negotiate(accept: str) -> Form:
    """The first acceptable clause wins, higher ``q`` first. Raises StatusError 406 if there is none."""
    if not accept.strip():
        return Form.OBJECT
    clauses = [_clause(text) for text in accept.split(",")]
    for media_type, parameters, quality in sorted(clauses, key=lambda clause: -clause[2]):
        if quality <= 0:
            continue
        wanted = parameters.get("as", "")
        if media_type in _PLAIN_JSON and not wanted:
            return Form.OBJECT
        if media_type in _PLAIN_JSON and parameters.get("g") == META_GROUP and wanted in _AS:
            if parameters.get("v") == "v1":
                return _AS[wanted]
        elif media_type in ("application/yaml", "text/yaml") and not wanted:
            return Form.YAML
    raise StatusError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    )


def _clause(text: str) -> tuple[str, dict[str, str], float]:
    media_type, *rest = (part.strip() for part in text.split(";"))
    parameters = dict(part.partition("=")[::2] for part in rest)
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        quality = 0.0
    return media_type.lower(), parameters, quality


DISCOVERY_GROUP = "apidiscovery.k8s.io"
_DISCOVERY_VERSIONS = ("v2", "v2beta1")


def aggregated_version(accept: str) -> str:
    """The version of aggregated discovery the client would rather have; "" where it wants plain documents."""
    for media_type, parameters, quality in (_clause(text) for text in accept.split(",") if accept.strip()):
        if media_type != "application/json" or quality <= 0:
            continue
        if parameters.get("g") == DISCOVERY_GROUP and parameters.get("as") == "APIGroupDiscoveryList":
            if parameters.get("v") in _DISCOVERY_VERSIONS:
                return parameters["v"]
        elif not parameters.get("as"):
            return ""
    return ""

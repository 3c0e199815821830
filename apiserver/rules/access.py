"""Rules of roles and their bindings, and of certificate requests."""

from base64 import b64decode

from deltawire.apiserver.rules.at import at, at_least, below, form, inside, need, selector
from deltawire.apiserver.rules.causes import Causes, Rule, Tree, invalid, look, required, unsupported
from deltawire.apiserver.rules.forms import segment, subdomain

GROUP = "rbac.authorization.k8s.io"
REQUEST_S_MIN = 600
_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)


def _rule(*, is_namespaced: bool) -> Rule:
    def check(rule: Tree) -> Causes:
        if not rule.get("verbs"):
            yield required("verbs", "verbs must contain at least one value")
        if urls := rule.get("nonResourceURLs"):
            if is_namespaced:
                yield invalid("nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs")
            if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
                told = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid("nonResourceURLs", urls, told)
            return
        for name, word in (("apiGroups", "api group"), ("resources", "resource")):
            if not rule.get(name):
                yield required(name, f"resource rules must supply at least one {word}")

    return check


ROLE: tuple[Rule, ...] = (below("rules[*]", _rule(is_namespaced=True)),)


def _aggregation(rule: Tree) -> Causes:
    if not rule.get("clusterRoleSelectors"):
        told = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required("clusterRoleSelectors", told)
    for position, chosen in enumerate(rule.get("clusterRoleSelectors") or ()):
        yield from selector(f"clusterRoleSelectors[{position}]", chosen)


CLUSTER_ROLE: tuple[Rule, ...] = (
    below("rules[*]", _rule(is_namespaced=False)),
    below("aggregationRule", _aggregation),
)


def _subject(*, is_namespaced: bool) -> Rule:
    def check(subject: Tree) -> Causes:
        kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
        if not subject.get("name"):
            yield required("name")
        match kind:
            case "ServiceAccount":
                for why in subdomain(subject["name"]) if subject.get("name") else ():
                    yield invalid("name", subject["name"], why)
                if group:
                    yield unsupported("apiGroup", group, ("",))
                if not is_namespaced and not subject.get("namespace"):
                    yield required("namespace")
            case "User" | "Group":
                if group != GROUP:
                    yield unsupported("apiGroup", group, (GROUP,))
            case _:
                yield unsupported("kind", kind, ("Group", "ServiceAccount", "User"))

    return check


def _reference(*kinds: str) -> tuple[Rule, ...]:
    def check(reference: Tree) -> Causes:
        if reference.get("apiGroup") != GROUP:
            yield unsupported("apiGroup", reference.get("apiGroup") or "", (GROUP,))
        if reference.get("kind") not in kinds:
            yield unsupported("kind", reference.get("kind") or "", kinds)
        name = reference.get("name") or ""
        if not name:
            yield required("name")
        for why in segment(name):
            yield invalid("name", name, why)

    return (lambda obj: (inside("roleRef", found) for found in check(obj.get("roleRef") or {})),)


BINDING = (*_reference("Role", "ClusterRole"), below("subjects[*]", _subject(is_namespaced=True)))
CLUSTER_BINDING = (*_reference("ClusterRole"), below("subjects[*]", _subject(is_namespaced=False)))


def role_reference_stays(old: Tree, new: Tree) -> Causes:
    after = new.get("roleRef") or {}
    if (old.get("roleRef") or {}) != after:
        inner = {name: after.get(key, "") for name, key in _ROLE_REFERENCE.items()}
        yield invalid("roleRef", inner, "cannot change roleRef")


_ROLE_REFERENCE = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}


def _request(obj: Tree) -> Causes:
    encoded = look(obj, "spec.request") or ""
    lines = b64decode(encoded).decode("latin-1").strip().splitlines()
    if not lines or "-----BEGIN CERTIFICATE REQUEST-----" not in lines:
        yield invalid("spec.request", encoded, "PEM block type must be CERTIFICATE REQUEST")


def _usages(obj: Tree) -> Causes:
    usages = look(obj, "spec.usages") or []
    if not usages:
        yield required("spec.usages")
    for position, usage in enumerate(usages):
        if usage not in _USAGES:
            yield unsupported(f"spec.usages[{position}]", usage, _USAGES)
        elif usage in usages[:position]:
            yield {
                "reason": "FieldValueDuplicate",
                "message": f'Duplicate value: "{usage}"',
                "field": f"spec.usages[{position}]",
            }


def _signer(name: str) -> list[str]:
    host, _, path = name.partition("/")
    if not path or "." not in host or subdomain(host):
        return ['must be a fully qualified domain and path of the form "example.com/signer-name"']
    return []


CERTIFICATE_REQUEST: tuple[Rule, ...] = (
    _request,
    _usages,
    need("spec.signerName"),
    at("spec.signerName", form(_signer)),
    at(
        "spec.expirationSeconds",
        at_least(REQUEST_S_MIN, "may not specify a duration less than 600 seconds (10 minutes)"),
    ),
)

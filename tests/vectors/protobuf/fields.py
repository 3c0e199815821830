"""Writes the table of protobuf messages, from the .proto files of Kubernetes' Go modules and the types of the kinds.

    python fields.py MODULE... >../../../apiserver/protobuf/fields.json

A MODULE is a folder of the module cache: k8s.io/api, k8s.io/apimachinery, k8s.io/apiextensions-apiserver,
k8s.io/kube-aggregator, each @v0.35.0. `deltawire.apiserver.protobuf.schema` says what the table means.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

KINDS = Path(__file__).parents[3] / "apiserver" / "kinds" / "data"
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(r"^  (?:optional |(repeated ))?(?:map<string, ([.\w]+)>|([.\w]+)) (\w+) = (\d+);", re.M)
PACKAGE = re.compile(r"^package ([\w.]+);", re.M)
SCALARS = {"string": "s", "bytes": "y", "bool": "b", "double": "d", "float": "d"}
SPECIAL = {
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "Time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "MicroTime",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Duration": "Duration",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "Raw",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "Quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "IntOrString",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "Raw",
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON": "Raw",
}
# Messages of their own in protobuf, plain lists in JSON.
LISTS = ("ExtraValue", "Verbs")
# Of these packages; others are never sent.
WANTED = re.compile(r"k8s\.io\.(?:api|apimachinery\.pkg\.apis|[\w.]*pkg\.apis)\.(\w+)\.(v\d)$")
META = ("DeleteOptions", "Status", "PartialObjectMetadata", "PartialObjectMetadataList")
# JSON writes either a value or an object; nobody can tell by numbers which: not in the table.
UNIONS = ("JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")


def short(package: str) -> str | None:
    found = WANTED.fullmatch(package)
    return f"{found[1]}/{found[2]}" if found else None


def types_of(name: str, message: str) -> dict[str, Any] | None:
    path = KINDS / f"{name.replace('/', '_')}.json"
    known = json.loads(path.read_text()).get(message) if path.is_file() else None
    return known["f"] if known else None


class Proto:
    """All messages, by their full names."""

    def __init__(self, modules: list[str]) -> None:
        self.bodies: dict[str, str] = {}
        for module in modules:
            for path in sorted(Path(module).rglob("generated.proto")):
                text = path.read_text()
                package = PACKAGE.search(text)
                assert package
                for name, body in MESSAGE.findall(text):
                    self.bodies[f"{package[1]}.{name}"] = body

    def known(self, full: str) -> dict[str, Any] | None:
        """The fields of a message in JSON. What Go embeds has those of a message around it."""
        package, _, message = full.rpartition(".")
        known = types_of(short(package) or "", message)
        if known is not None:
            return known
        for holder, body in self.bodies.items():
            for _, _, plain, name, _ in FIELD.findall(body):
                if holder.startswith(f"{package}.") and plain == message:
                    around = types_of(short(package) or "", holder.rpartition(".")[2])
                    if around is not None and name not in around:
                        return around
        return None

    def line(self, full: str) -> str:
        package = full.rpartition(".")[0]
        known = self.known(full)
        words = []
        for repeated, of_map, plain, name, number in FIELD.findall(self.bodies[full]):
            of = (of_map or plain).lstrip(".")
            if "." not in of and f"{package}.{of}" in self.bodies:
                of = f"{package}.{of}"
            written = self.type(of, package)
            if written is None:
                continue
            told = name
            if known is not None and name not in known:
                alike = [other for other in known if other.lower() == name.lower()]
                told = alike[0] if alike else "" if of in self.bodies else name
            field = (known or {}).get(told)
            is_kept = field is not None and (field["t"].startswith("*") or not field.get("o"))
            is_plain = written in ("s", "i", "b", "d", "y")
            is_kept = is_kept and (is_plain and written != "s" or field["t"].startswith("*"))
            container = "{}" if of_map else "[]" if repeated else ""
            words.append(f"{number}:{told}:{container}{written}{'!' if is_kept and not container else ''}")
        return " ".join(words)

    def type(self, of: str, package: str) -> str | None:
        if of in SPECIAL:
            return SPECIAL[of]
        if of in SCALARS:
            return SCALARS[of]
        if of not in self.bodies:
            return "i"
        holder, _, name = of.rpartition(".")
        if name in LISTS:
            return "Strings"
        if name in UNIONS:
            return None
        return name if holder == package else f"{short(holder)}.{name}"


def main() -> None:
    proto = Proto(sys.argv[1:])
    kinds: dict[str, str] = {}
    messages: dict[str, dict[str, str]] = {}
    for full in sorted(proto.bodies):
        package, _, name = full.rpartition(".")
        known = short(package)
        # Definitions hold unions that numbers do not tell apart: not in the table.
        if (
            known is None
            or known == "apiextensions/v1"
            or not (KINDS / f"{known.replace('/', '_')}.json").is_file()
        ):
            continue
        messages.setdefault(known, {})[name] = proto.line(full)
    groups = {path.stem: path for path in KINDS.glob("*.json")}
    for package, lines in messages.items():
        of_kinds = types_of(package, "")
        assert of_kinds is None
        data = json.loads(groups[package.replace("/", "_")].read_text())
        for name in lines:
            is_kind = {"kind", "apiVersion"} <= set((data.get(name) or {"f": {}})["f"])
            if is_kind or (name.endswith("List") and name.removesuffix("List") in data):
                kinds[f"{group_of(package)} {name}"] = f"{package}.{name}"
    for name in META:
        kinds[f"* {name}"] = f"meta/v1.{name}"
    print(json.dumps({"kinds": kinds, "messages": messages}, indent=1, sort_keys=True))


# The full names of groups whose modules have shorter ones.
FULL = {
    "admissionregistration": "admissionregistration.k8s.io",
    "apiextensions": "apiextensions.k8s.io",
    "apiregistration": "apiregistration.k8s.io",
    "authentication": "authentication.k8s.io",
    "authorization": "authorization.k8s.io",
    "certificates": "certificates.k8s.io",
    "coordination": "coordination.k8s.io",
    "discovery": "discovery.k8s.io",
    "events": "events.k8s.io",
    "flowcontrol": "flowcontrol.apiserver.k8s.io",
    "networking": "networking.k8s.io",
    "node": "node.k8s.io",
    "rbac": "rbac.authorization.k8s.io",
    "resource": "resource.k8s.io",
    "scheduling": "scheduling.k8s.io",
    "storage": "storage.k8s.io",
}


def group_of(package: str) -> str:
    group, _, version = package.partition("/")
    if group in ("core", "meta"):
        return version
    return f"{FULL.get(group, group)}/{version}"


if __name__ == "__main__":
    main()

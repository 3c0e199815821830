"""Forms of texts: names, ports, addresses. Each gives the messages for what is wrong, as the API server words them."""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

Form = Callable[[str], list[str]]

NAME_CHARS_MAX = 253
LABEL_CHARS_MAX = 63
PORT_NAME_CHARS_MAX = 15
_ENDS = "and must start and end with an alphanumeric character"
KEY_NEEDS = f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
IP_TOLD = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TOLD = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"


def no_longer_than(chars_max: int, unit: str = "characters") -> str:
    return f"must be no more than {chars_max} {unit}"


def expected(told: str, pattern: str, *examples: str) -> str:
    """What a text must be, with examples and the pattern."""
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{told} ({f'e.g. {listed}' if listed else ''}regex used for validation is '{pattern}')"


def _form(pattern: str, chars_max: int, told: str, *examples: str) -> Form:
    compiled, wanted = re.compile(pattern), expected(told, pattern, *examples)

    def form(value: str) -> list[str]:
        wrong = [no_longer_than(chars_max)] if 0 < chars_max < len(value) else []
        return wrong if compiled.fullmatch(value) else [*wrong, wanted]

    return form


subdomain = _form(
    _SUBDOMAIN,
    NAME_CHARS_MAX,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character",
    "example.com",
)
wildcard = _form(
    _WILDCARD,
    NAME_CHARS_MAX,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
label_1035 = _form(
    _LABEL_1035,
    LABEL_CHARS_MAX,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
header = _form(
    _HEADER, 0, "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name"
)
percent = _form(
    _PERCENT, 0, "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%"
)
_any_label = _form(
    _LABEL,
    LABEL_CHARS_MAX,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character",
    "my-name",
    "123-abc",
)
_any_config_key = _form(
    _CONFIG_KEY,
    NAME_CHARS_MAX,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)
_subdomain, _label, _key = re.compile(_SUBDOMAIN), re.compile(_LABEL), re.compile(_KEY)
_key_told = expected(KEY_NEEDS, _KEY, "MyName", "my.name", "123-abc")
_value_told = expected(
    f"a valid label must be an empty string or {KEY_NEEDS.removeprefix('must ')}",
    f"({_KEY})?",
    "MyValue",
    "my_value",
    "12345",
)
_PATH_SEGMENT = {".": "may not be '.'", "..": "may not be '..'"}


def label(value: str) -> list[str]:
    """A DNS label of RFC 1123."""
    if _label.fullmatch(value) is None and _subdomain.fullmatch(value):
        return [
            *([no_longer_than(LABEL_CHARS_MAX)] if len(value) > LABEL_CHARS_MAX else []),
            "must not contain dots",
        ]
    return _any_label(value)


def label_key(value: str) -> list[str]:
    """``name`` or ``dns.prefix/name``."""
    prefix, slash, name = value.partition("/")
    if not slash:
        prefix, name = "", value
    elif "/" in name:
        return [
            f"a valid label key {_key_told} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    wrong = []
    if slash:
        wrong = [f"prefix part {why}" for why in (subdomain(prefix) if prefix else ["must be non-empty"])]
    if not name:
        wrong.append("name part must be non-empty")
    elif len(name) > LABEL_CHARS_MAX:
        wrong.append(f"name part {no_longer_than(LABEL_CHARS_MAX, 'bytes')}")
    return wrong if _key.fullmatch(name) else [*wrong, f"name part {_key_told}"]


def label_value(value: str) -> list[str]:
    wrong = [no_longer_than(LABEL_CHARS_MAX, "bytes")] if len(value) > LABEL_CHARS_MAX else []
    return wrong if not value or _key.fullmatch(value) else [*wrong, _value_told]


def config_key(value: str) -> list[str]:
    wrong = _any_config_key(value)
    if value in (".", ".."):
        wrong.append(f"must not be '{value}'")
    elif value.startswith(".."):
        wrong.append("must not start with '..'")
    return wrong


def port_name(value: str) -> list[str]:
    wrong = [no_longer_than(PORT_NAME_CHARS_MAX)] if len(value) > PORT_NAME_CHARS_MAX else []
    if not re.fullmatch("[-a-z0-9]+", value):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in value:
        wrong.append("must not contain consecutive hyphens")
    if value[:1] == "-" or value[-1:] == "-":
        wrong.append("must not begin or end with a hyphen")
    return wrong


def variable(value: str) -> list[str]:
    """The name of an environment variable."""
    if all(" " <= letter <= "~" and letter != "=" for letter in value):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
    ]


def segment(value: str) -> list[str]:
    """What can be one segment of a URL's path."""
    if value in _PATH_SEGMENT:
        return [_PATH_SEGMENT[value]]
    return [f"may not contain '{sign}'" for sign in "/%" if sign in value]


def prefixed_path(value: str) -> list[str]:
    """``acme.io/foo``."""
    host, _, path = value.partition("/")
    if not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    return subdomain(host) or ([] if re.fullmatch(_PATH, path) else [expected("Invalid path", _PATH)])


def domain(segments_min: int, told: str) -> Form:
    """A DNS name of at least so many parts."""

    def form(value: str) -> list[str]:
        if wrong := subdomain(value):
            return [",".join(wrong)]
        parts = "should be a domain with at least {} segments separated by dots"
        return [] if value.count(".") + 1 >= segments_min else [parts.format(told)]

    return form


def absolute_path(value: str) -> list[str]:
    return [] if value.startswith("/") else ["must be an absolute path"]


def no_backsteps(value: str) -> list[str]:
    return ["must not contain '..'"] if ".." in value.split("/") else []


def local_path(value: str) -> list[str]:
    """A path below something."""
    return ["must be a relative path"] if value.startswith("/") else no_backsteps(value)


def ip(value: str) -> list[str]:
    return [] if _is(ip_address, value) else [IP_TOLD]


def cidr(value: str) -> list[str]:
    return [] if "/" in value and _is(lambda text: ip_network(text, strict=False), value) else [CIDR_TOLD]


def is_ip(value: str) -> bool:
    return _is(ip_address, value)


def _is(read: Callable[[str], Any], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True

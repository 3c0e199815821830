import logging

import pytest

from deltawire.client.rest import warnings as module
from deltawire.client.rest.warnings import ServerWarning, WarningLog, parse_warnings


def test_one_header_holds_several_warnings() -> None:
    found = parse_warnings('299 - "old, but works", 299 "kube" "say \\"v1\\""')
    assert found == [ServerWarning(299, "-", "old, but works"), ServerWarning(299, '"kube"', 'say "v1"')]


@pytest.mark.parametrize("header", ["", "299", "299 -", 'abc - "x"', '299 - "open', "\x00" * 50])
def test_what_is_no_warning_is_passed_over(header: str) -> None:
    assert parse_warnings(header) == []


def test_a_warning_is_one_printable_line_of_limited_length() -> None:
    (found,) = parse_warnings('299 - "a\x1b[31m\r\nb ' + "x" * 5000 + '"')
    assert found.text.startswith("a[31m b x")
    assert len(found.text) <= module.WARNING_CHARS_MAX


def test_the_log_says_each_warning_once_and_only_code_299(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    handler = WarningLog()
    for _ in range(3):
        handler(ServerWarning(299, "-", "policy/v1beta1 is deprecated"))
        handler(ServerWarning(199, "-", "something else"))
    assert caplog.messages == ["the API server warns: policy/v1beta1 is deprecated"]


def test_what_the_log_remembers_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WARNINGS_REMEMBERED_MAX", 2)
    handler = WarningLog()
    for text in ("a", "b", "c", "c"):
        handler(ServerWarning(299, "-", text))
    assert len(handler._seen) == 2
    assert len(caplog.messages) == 4  # beyond the bound it repeats rather than stays silent

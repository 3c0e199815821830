import pytest

from deltawire.client.options import (
    DeleteOptions,
    ListOptions,
    PatchOptions,
    WatchOptions,
    WriteOptions,
    delete_body,
    params_of,
)
from deltawire.common.errors import ConfigError


def test_every_option_has_a_name_on_the_wire() -> None:
    for options in (ListOptions, WatchOptions, WriteOptions, PatchOptions):
        values = dict.fromkeys(options.__annotations__, 1)
        assert len(params_of(values, options)) >= len(values)


def test_none_is_left_out_and_a_time_out_is_said_twice() -> None:
    assert params_of({"limit": None, "timeout_s": 5}, ListOptions) == {"timeoutSeconds": 5, "timeout": "5s"}
    assert params_of({"dry_run": True}, WriteOptions) == {"dryRun": "All"}
    assert params_of({"dry_run": False}, WriteOptions) == {"dryRun": None}


def test_an_unknown_option_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"no option 'selector'.*label_selector"):
        params_of({"selector": "a"}, ListOptions)
    with pytest.raises(ConfigError, match="no option 'force'"):
        delete_body({"force": True})


def test_a_deletion_without_options_has_no_body() -> None:
    assert delete_body({}) is None
    assert delete_body(DeleteOptions(grace_period_s=0)) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
    }

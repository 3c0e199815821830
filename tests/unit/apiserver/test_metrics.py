"""``/metrics`` of the embedded API server."""

from typing import Any

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.http.metrics import SERIES_MAX, Metrics
from deltawire.apiserver.http.paths import parse_path


def lines(metrics: Metrics, watches: int = 0) -> list[str]:
    return metrics.text(watches)[0].decode().splitlines()


def test_answers_are_counted_by_verb_resource_and_code(core: ApiCore, config_map: Any) -> None:
    core.create("configmaps", config_map("a"), "default")
    metrics = Metrics(core)
    for code in (200, 200, 404):
        metrics.count("get", parse_path("/api/v1/namespaces/default/configmaps/a"), code)
    metrics.count("get", None, 200)
    told = lines(metrics, watches=3)
    labels = 'group="",resource="configmaps",subresource="",verb="GET",version="v1"'
    assert f'apiserver_request_total{{code="200",{labels}}} 2.0' in told
    assert f'apiserver_request_total{{code="404",{labels}}} 1.0' in told
    assert 'apiserver_resource_objects{group="",resource="configmaps"} 1.0' in told
    assert 'apiserver_longrunning_requests{verb="WATCH"} 3.0' in told


def test_what_comes_beyond_the_bound_is_counted_as_one(core: ApiCore) -> None:
    metrics = Metrics(core)
    for number in range(SERIES_MAX + 7):
        metrics.count("get", parse_path(f"/api/v1/namespaces/default/x{number}/a"), 404)
    (other,) = (line for line in lines(metrics) if 'verb="other"' in line)
    assert other.endswith(" 7.0")

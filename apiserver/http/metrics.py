"""``/metrics``: what was asked and what is kept, under the names that an API server has for it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.http.paths import ResourcePath

# Kinds of requests that are counted apart; what comes beyond them is counted as one.
SERIES_MAX = 5000
_LABELS = ("verb", "group", "version", "resource", "subresource", "code")
_OTHER = ("other", "", "", "", "")


class Metrics:
    """Counts answers. The library that writes the text is loaded when it is asked for."""

    def __init__(self, core: ApiCore) -> None:
        self._core = core
        self._answers: Counter[tuple[str, ...]] = Counter()

    def count(self, verb: str, path: ResourcePath | None, code: int) -> None:
        """One answer; ``verb`` is RBAC's, or a method for what is no resource."""
        what = (path.group, path.version, path.plural, path.subresource) if path is not None else ("",) * 4
        known = (verb.upper(), *what, str(code))
        if known not in self._answers and len(self._answers) >= SERIES_MAX:
            known = (*_OTHER, str(code))
        self._answers[known] += 1

    def text(self, watches: int) -> tuple[bytes, str]:
        """The text and its media type. ``watches`` are open now."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collected(self._families(watches)))
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _families(self, watches: int) -> list[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        requests = CounterMetricFamily(
            "apiserver_request", "Answers by verb, resource and code.", labels=_LABELS
        )
        for labels, number in sorted(self._answers.items()):
            requests.add_metric(labels, number)
        objects = GaugeMetricFamily(
            "apiserver_resource_objects", "Stored objects.", labels=("group", "resource")
        )
        for storage, number in sorted(self._core.counts().items()):
            plural, _, group = storage.partition(".")
            objects.add_metric((group, plural), number)
        running = GaugeMetricFamily("apiserver_longrunning_requests", "Open watches.", labels=("verb",))
        running.add_metric(("WATCH",), watches)
        return [requests, objects, running]


class _Collected:
    def __init__(self, families: list[Any]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        yield from self._families

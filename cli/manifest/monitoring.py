"""For the Prometheus operator: what is scraped, and what is worth waking somebody for."""

from collections.abc import Iterator
from typing import Any

from deltawire.cli.manifest.shape import Shape

Tree = dict[str, Any]
_GROUP = "monitoring.coreos.com/v1"


def monitoring(shape: Shape) -> Iterator[Tree]:
    """A PodMonitor and its alerts (docs/status.md says what the metrics mean)."""
    yield {
        "apiVersion": _GROUP,
        "kind": "PodMonitor",
        "metadata": shape.metadata(shape.name, "core"),
        "spec": {
            "selector": {"matchLabels": shape.labels("core")},
            "podMetricsEndpoints": [{"port": "metrics", "interval": "15s"}],
        },
    }
    yield {
        "apiVersion": _GROUP,
        "kind": "PrometheusRule",
        "metadata": shape.metadata(shape.name, "core"),
        "spec": {
            "groups": [
                {
                    "name": "deltawire",
                    "rules": [
                        _alert("DeltawireStale", "time() - deltawire_informer_as_of_seconds > 120", "2m",
                               "The cache of {{ $labels.informer }} is older than two minutes."),
                        _alert("DeltawireNotReady", "deltawire_ready == 0", "10m",
                               "Something is not synced or not fresh: see `deltawire status`."),
                        _alert("DeltawireDeadLetters", "delta(deltawire_handler_dead[15m]) > 0", "0m",
                               "{{ $labels.handler }} gave events up: see `deltawire dead-letters show`."),
                        _alert("DeltawireRestarts", "increase(deltawire_process_restarts_total[15m]) > 3", "0m",
                               "{{ $labels.process }} ends again and again."),
                    ],
                }
            ]
        },
    }  # fmt: skip


def _alert(name: str, expression: str, wait: str, summary: str) -> Tree:
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": "warning"},
        "annotations": {"summary": summary},
    }

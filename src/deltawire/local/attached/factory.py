"""The factory of informers on the caches of a pipeline that runs."""

from pathlib import Path
from typing import Any

from deltawire.client.typed.table import Row
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError
from deltawire.local.attached.informer import AttachedInformer
from deltawire.local.attached.pipeline import Pipeline, plan_here, plan_there


class Attachment:
    """Which pipeline, which of its clusters, and as which group: makes the informers of a factory."""

    def __init__(
        self,
        *,
        core: str,
        key: Path | str | None,
        store: Path | str | None,
        config: Path | str | None,
        cluster: str,
        name: str,
        resync_s: float,
        clock: Clock | None,
    ) -> None:
        """Arguments as `SharedInformerFactory.attach`. Raises ConfigError, StateError, NoAnswer."""
        if core and (store is not None or config is not None):
            raise ConfigError("a pipeline is named by core=, store= or config=, not by two of them")
        if key is not None and not core:
            raise ConfigError("key= is for a core on another host", hint="attach(core='core:7400', key=…)")
        self._clock = clock or SystemClock()
        plan = plan_there(core, key, self._clock) if core else plan_here(store, config)
        self._cluster = cluster or plan.first_cluster
        if self._cluster not in plan.clusters:
            raise ConfigError(f"there is no cluster {cluster!r} (clusters: {', '.join(plan.clusters)})")
        self._resync_s = resync_s
        self.pipeline = Pipeline(plan, name, clock=self._clock)

    def informer(self, row: Row, resync_s: float | None = None) -> AttachedInformer[Any]:
        """The informer of a class. Raises ConfigError where the pipeline does not cache its objects."""
        name = f"{self._cluster}/{row.resource.name}"
        informers = self.pipeline.plan.informers
        if name not in informers:
            known = ", ".join(informers) or "none"
            raise ConfigError(
                f"the pipeline does not cache {name} (informers: {known})", hint="add an informer to its config"
            )
        wanted_s = self._resync_s if resync_s is None else resync_s
        return AttachedInformer(
            self.pipeline,
            self._cluster,
            row.resource.name,
            row.object_type,
            resync_s=wanted_s,
            clock=self._clock,
        )

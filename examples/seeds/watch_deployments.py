"""Follows the deployments of a cluster with a shared informer, and lists them from its cache."""

import threading

from connection import follow
from lightkube.models.apps_v1 import Deployment

from deltawire import ClientConfig, Clientset, DeletedFinalStateUnknown, SharedInformerFactory


def on_add(deployment: Deployment) -> None:
    print("add a deployment:", deployment.metadata.name, flush=True)


def on_update(old: Deployment, new: Deployment) -> None:
    print("update deployment:", old.metadata.name, new.metadata.name, flush=True)


def on_delete(last: Deployment | DeletedFinalStateUnknown[Deployment]) -> None:
    # A deletion that happened while the watch was down is found by the next list, which shows no last state.
    deployment = last.obj if isinstance(last, DeletedFinalStateUnknown) else last
    print("delete a deployment:", deployment.metadata.name, flush=True)


def watch_deployments(config: ClientConfig, stop: threading.Event) -> None:
    with Clientset.from_config(config) as clientset:
        # Once a minute every object is told again, as an update of itself.
        factory = SharedInformerFactory(clientset, resync_s=60)
        deployments = factory.apps().v1().deployments()
        deployments.informer().add_event_handler(on_add=on_add, on_update=on_update, on_delete=on_delete)
        lister = deployments.lister()

        factory.start(stop)
        factory.wait_for_cache_sync(stop)
        for number, deployment in enumerate(lister.deployments("default").list(), 1):
            print(f"{number} -> {deployment.metadata.name}", flush=True)

        stop.wait()
        factory.shutdown()


if __name__ == "__main__":
    follow(watch_deployments, "Follow the deployments of a cluster.", churn_per_s=10)

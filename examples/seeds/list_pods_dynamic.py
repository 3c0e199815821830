"""Lists pods with the dynamic client, as dicts, and converts them to typed ones. It would do CRDs as well."""

from connection import run

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.dynamic.dynamic_client import DynamicClient
from deltawire.client.dynamic.unstructured import from_unstructured
from deltawire.client.schema import GroupVersionResource
from deltawire.client.typed.models import models

core_v1 = models("core_v1")
PODS = GroupVersionResource(group="", version="v1", resource="pods")


def list_pods(config: ClientConfig) -> None:
    dynamic = DynamicClient.from_config(config)
    unstructured = dynamic.resource(PODS).namespace(config.namespace).list(limit=500)
    for pod in from_unstructured(unstructured, core_v1.PodList).items:
        print(f"NAME:{pod.metadata.namespace} \t NAME:{pod.metadata.name} \t STATUS: {pod.status}")
    dynamic.close()


if __name__ == "__main__":
    run(list_pods, "List the pods of the config's namespace, through dicts.")

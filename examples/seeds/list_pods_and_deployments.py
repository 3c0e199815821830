"""Lists the pods and deployments of a namespace with the Clientset: typed objects throughout."""

from connection import run

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.typed.clientset import Clientset


def list_pods_and_deployments(config: ClientConfig) -> None:
    with Clientset.from_config(config) as clientset:
        for pod in clientset.core_v1().pods(config.namespace).list(limit=500).items:
            print(f"NAME:{pod.metadata.namespace} \t NAME:{pod.metadata.name} \t STATUS: {pod.status}")
        for deployment in clientset.apps_v1().deployments(config.namespace).list(limit=500).items:
            metadata = deployment.metadata
            print(f"NAME:{metadata.namespace} \t NAME:{metadata.name} \t STATUS: {deployment.status}")


if __name__ == "__main__":
    run(list_pods_and_deployments, "List pods and deployments of the config's namespace.")

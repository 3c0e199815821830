"""Lists nodes with the RESTClient alone: a request is built, sent, and its answer read as a NodeList."""

from connection import run

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.typed.models import models

core_v1 = models("core_v1")


def list_nodes(config: ClientConfig) -> None:
    client = RESTClient(config, group_version="v1")
    nodes = client.get().resource("nodes").param("limit", 500).do().into(core_v1.NodeList)
    for node in nodes.items:
        print(f"NAME:{node.metadata.name} \t STATUS: {node.status}")
    client.close()


if __name__ == "__main__":
    run(list_nodes, "List the nodes of a cluster.")

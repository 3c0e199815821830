"""Addresses of pods: one for each, from the range of its node."""

from ipaddress import IPv4Network
from typing import Any

from deltawire.apiserver.core.store import Store

Tree = dict[str, Any]
# For nodes that have no range of their own, or a full one.
NETWORK = IPv4Network("10.244.0.0/16")


class PodAddresses:
    """Gives each address once, lowest first; those of pods that are gone come back when a range is used up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taken: set[str] | None = None
        self._next: dict[IPv4Network, int] = {}

    def give(self, node: Tree) -> str:
        """An address that no pod has; "" where the ranges are full."""
        for network in (_range_of(node), NETWORK):
            if network is not None and (address := self._free(network)):
                return address
        return ""

    def _free(self, network: IPv4Network) -> str:
        for _ in range(2):
            taken = self._known()
            # The first is the network's own, the second the node's.
            place = self._next.get(network, 2)
            while place < network.num_addresses - 1:
                address = str(network[place])
                place += 1
                if address not in taken:
                    self._next[network] = place
                    taken.add(address)
                    return address
            self._next[network], self._taken = 2, None
        return ""

    def _known(self) -> set[str]:
        if self._taken is None:
            records = self._store.table("pods").records.values()
            self._taken = {str((record.decode().get("status") or {}).get("podIP")) for record in records}
        return self._taken


def _range_of(node: Tree) -> IPv4Network | None:
    try:
        return IPv4Network((node.get("spec") or {}).get("podCIDR") or "")
    except ValueError:
        return None

"""How hosts are named in leases and in words: by their state folder's name, and by their machine's."""


def holder_of(host: str, node: str) -> str:
    """What a lease says of its holder."""
    return f"{host} {node}"


def host_and_node(holder: str) -> tuple[str, str]:
    """Of a lease's holder. Workers of earlier versions say their host only."""
    host, _, node = holder.partition(" ")
    return host, node


def words_for(host: str, node: str) -> str:
    """``n1 (3f2a9c01)``: machines may have one name, state folders have not."""
    return f"{node} ({host[:8]})" if node else host

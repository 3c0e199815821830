"""Who is here and who owns what."""

from deltawire.fifo.sessions import Members


def members(*hellos: tuple[bytes, list[str]]) -> Members[str]:
    found: Members[str] = Members()
    for identity, items in hellos:
        found.join(identity, identity.decode(), items)
    return found


def test_the_newest_hello_for_an_item_owns_it() -> None:
    here = members((b"old", ["x", "y"]))
    joined = here.join(b"new", "new", ["y", "z"])
    assert joined.taken == [(b"old", "y")]
    assert joined.ousted == []
    assert [here.owner(item) for item in "xyz"] == [b"old", b"new", b"new"]
    assert not here.owns(b"old", "y")


def test_a_peer_that_has_lost_everything_is_named() -> None:
    here = members((b"old", ["x", "y"]))
    assert here.join(b"new", "new", ["x", "y"]).ousted == [b"old"]
    assert here.items(b"old") == []


def test_a_superseded_peer_stays_superseded_while_its_successor_is_here() -> None:
    here = members((b"old", ["x"]), (b"new", ["x"]))
    assert here.superseder(b"old") == "new"
    here.leave(b"old")
    assert here.superseder(b"old") == "new"
    here.leave(b"new")
    assert here.superseder(b"old") == ""


def test_a_peer_that_leaves_frees_what_it_owned_and_nothing_else() -> None:
    here = members((b"a", ["x"]), (b"b", ["y"]))
    assert here.leave(b"a") == ["x"]
    assert here.owner("x") is None
    assert here.owner("y") == b"b"
    assert here.names == ["b"]


def test_a_peer_that_was_not_here_can_leave() -> None:
    assert members().leave(b"a") == []


def test_a_superseded_peer_that_leaves_takes_nothing_from_its_successor() -> None:
    here = members((b"old", ["x"]), (b"new", ["x"]))
    assert here.leave(b"old") == []
    assert here.owner("x") == b"new"

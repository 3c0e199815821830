"""A replica whose acks may be late is asked for those that something waits for, whatever it is that waits."""



from tests.support.shard_rig import Handler, ShardRig


def late(rig: ShardRig, name: str = "r0", *, window_bytes: int = 1 << 24, **options: object) -> Handler:
    handler = rig.join(name=name, **options)  # type: ignore[arg-type]
    handler.replica.may_ask = True
    handler.replica.window_bytes = window_bytes
    handler.take()
    return handler


def asked(rig: ShardRig) -> dict[bytes, list[str]]:
    return rig.shard.groups["g"].members.take_wanted()


def test_of_what_waits_behind_one_that_is_tried_again_each_ack_is_asked_for(rig: ShardRig) -> None:
    handler = late(rig, delivery="every")
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    handler.answer(first, 1, after_s=1.0, error="no")
    for version in ("102", "103"):
        rig.pop(("U", "a/k", "u1", version))
        assert not handler.take()
    rig.clock.advance(1.0)
    for version in ("101", "102"):
        (event,) = handler.take()
        assert event.version == version
        assert asked(rig) == {handler.identity: ["a/k"]}, "another one of the key waits"
        handler.answer(event)
    (event,) = handler.take()
    assert event.version == "103"
    assert asked(rig) == {}, "nothing waits behind the last one"


def test_room_is_asked_for_where_all_was_looked_at_and_a_change_waits_for_it(rig: ShardRig) -> None:
    handler = late(rig)
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"))
    first, second = handler.take()
    rig.pop(("U", "a/k", "u1", "103"))
    assert not handler.take()
    assert asked(rig) == {handler.identity: ["a/k"]}
    handler.replica.window_bytes = handler.replica.held_bytes - len(first.object or b"")
    handler.answer(first)
    assert not handler.take(), "what it holds is too large for more"
    assert asked(rig) == {handler.identity: []}
    handler.answer(second)
    assert handler.take()


def test_room_is_asked_for_where_what_is_tried_again_waits_for_it(rig: ShardRig) -> None:
    handler = late(rig)
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"))
    first, _ = handler.take()
    handler.answer(first, 1, after_s=1.0, error="no")
    handler.replica.window_bytes = handler.replica.held_bytes
    rig.clock.advance(1.0)
    assert not handler.take()
    assert asked(rig) == {handler.identity: []}


def test_what_a_replica_gets_after_it_was_asked_for_all_is_asked_for_too(rig: ShardRig) -> None:
    handler = late(rig)
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    handler.replica.window_bytes = 1
    rig.pop(("A", "a/l", "u2", "102"))
    assert not handler.take()
    assert asked(rig) == {handler.identity: []}
    handler.replica.window_bytes = 1 << 24
    assert handler.take()
    rig.pop(("U", "a/l", "u2", "103"))
    assert not handler.take()
    assert asked(rig) == {handler.identity: ["a/l"]}
    rig.pop(("U", "a/k", "u1", "104"))
    assert not handler.take()
    handler.answer(first)
    assert handler.take()

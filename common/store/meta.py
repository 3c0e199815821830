"""What a shard remembers besides objects: how far it has come, per stream and in all."""

import msgspec

STATE_KEY = b"state"
STREAM_PREFIX = b"stream/"


class StreamState(msgspec.Struct, gc=False, omit_defaults=True):
    """One stream (a namespace, or ``*``) as this shard has it.

    ``resume``: complete up to this version; "" = must list. ``floor``: the highest version seen.
    ``generation``: of the newest list begun; ``open``: of the list that has not ended, else 0.
    ``scope``: hash of what was asked for when the last list ended; "" = none has ended yet. ``unversioned``: that list
    had no version, so that there is none to resume at although the stream is complete. ``lost_from``: the version
    that was reached when ``resume`` was given up: what came between it and the list is lost; "?" = not known.
    """

    resume: str = ""
    floor: str = ""
    generation: int = 0
    open: int = 0
    scope: str = ""
    lineage: int = 0
    unversioned: bool = False
    lost_from: str = ""

    @property
    def is_complete(self) -> bool:
        """The store is what the API server had at some moment, and not in the middle of a list."""
        return bool(self.resume) or self.unversioned

    @property
    def is_listed(self) -> bool:
        """A list has been completed once, so that the store is a state of this stream that existed."""
        return bool(self.scope)

    @property
    def seen_up_to(self) -> str:
        """The version up to which what the watch brings has been here, or is of no use; "" where none is known.

        A stream that waits for a list, in a store that was filled from an archive for example, is told the same
        versions again where the watch goes back for another shard. The list decides about all that is dropped.
        """
        return self.resume if self.is_complete or self.open else self.floor

    def give_up_resume(self) -> None:
        """A list must be made. Before the first one has ended there is no history to lose."""
        if self.is_listed and not self.lost_from:
            self.lost_from = self.resume or self.floor or "?"
        self.resume, self.unversioned = "", False


class ShardState(msgspec.Struct, gc=False, omit_defaults=True):
    """The hot row, read and written in every transaction.

    ``owner``: boot nonce of the one worker that may write. ``boot``, ``number``: the last delta applied and
    the broker's life it was numbered in. ``seq``: number of the newest change. ``committed_at``: µs since the
    epoch.
    """

    owner: str = ""
    schema: int = 0
    informer: str = ""
    boot: str = ""
    number: int = 0
    seq: int = 0
    committed_at: int = 0
    index_hash: str = ""
    indexes: list[str] = []


encode = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(ShardState).decode
decode_stream = msgspec.msgpack.Decoder(StreamState).decode


def stream_key(stream: str) -> bytes:
    """Key of a stream's row in ``meta``: a namespace has at most 63 characters, so it always fits."""
    return STREAM_PREFIX + stream.encode()

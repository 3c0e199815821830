"""Streams on JetStream as the config has them: made, brought up to date, or refused where they are another's."""

from typing import TYPE_CHECKING

from deltawire.jetstream.connection import NatsError, refused
from deltawire.jetstream.settings import NatsSettings

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.api import StreamConfig

# What could drop or refuse messages behind our back where it is not as we want it, and may be changed.
_CHANGEABLE = (
    "max_bytes", "num_replicas", "discard", "max_age", "max_msgs", "max_msg_size", "max_msgs_per_subject"
)  # fmt: skip
_UNLIMITED = {"max_msgs": -1, "max_msg_size": -1, "max_msgs_per_subject": -1, "max_age": 0}
_RACED = 10058
# Of JetStream: the newest message, or the row of a bucket, is another one than was expected.
WRONG_SEQUENCE = frozenset({10071, 10164})
# The stream, or what the account may keep, is full.
FULL = frozenset({10047, 10077})


async def ensure_stream(
    jetstream: "JetStreamContext", wanted: "StreamConfig", settings: NatsSettings
) -> None:
    """Make the stream where there is none, and give one that is there the limits of ``wanted``.

    Raises NatsError where the servers will not, and for a stream of that name that is not ours: with other subjects, or
    kept in memory. Raises what nats-py does where they do not answer.
    """
    from nats.js.errors import APIError, NotFoundError

    what = f"stream {wanted.name}"
    try:
        try:
            found = (await jetstream.stream_info(wanted.name or "")).config
        except NotFoundError:
            await jetstream.add_stream(wanted)
            return
        for field in ("subjects", "storage", "retention"):
            if getattr(found, field) != getattr(wanted, field):
                theirs, ours = _shown(getattr(found, field)), _shown(getattr(wanted, field))
                raise NatsError(
                    f"{what} on NATS {settings.shown} is there with another {field}: {theirs}, not {ours}",
                    hint="say another engine.name or archive.name, or delete that stream, and what it holds",
                )
        if any(_limit(found, field) != _limit(wanted, field) for field in _CHANGEABLE):
            await jetstream.update_stream(wanted)
    except APIError as error:
        if error.err_code != _RACED:  # another one made it at the same moment
            raise refused(what, error, settings) from None


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(getattr(value, "value", value))


def _limit(config: "StreamConfig", field: str) -> object:
    value = getattr(config, field)
    unlimited = _UNLIMITED.get(field)
    return unlimited if unlimited is not None and value in (None, 0, -1) else value

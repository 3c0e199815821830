"""The broker's own bounds. Those that two roles must agree on are in `deltawire.common.limits`."""

from deltawire.common.limits import BATCH_BYTES_MAX, STREAM_BYTES_MAX, STREAM_DELTAS_MAX

# A shard's queue above this depth merges consecutive updates of one uid (counted as dedup_updates). A full
# stream fills a quarter of its credit into each of four shards; half of that is a worker that lags.
HIGH_WATER_DELTAS = 512

# One informer's turn before the next informer gets its own.
SLICE_BYTES = BATCH_BYTES_MAX

# The period of marks to all shards. Between two marks a shard knows the versions of its own deltas only; after a kill
# of all processes at most that much of a stream is read again, and skipped.
MARK_EVERY_S = 1.0
# Proofs wait so long for others of their kind.
PROVE_EVERY_S = 0.2

# Begins and ends of lists that wait in one shard. They take no credit, so lists that are cut again and
# again while a worker is away need a bound of their own; at it the stream is stopped until there is room.
BARRIERS_MAX = 1000

# Credit goes back in steps, so that an ack does not cost a message to the reflector each time.
CREDIT_STEP_DELTAS = STREAM_DELTAS_MAX // 16
CREDIT_STEP_BYTES = STREAM_BYTES_MAX // 16

# A peer that sent so many malformed messages is refused at its next hello, which makes it wait.
STRIKES_MAX = 3
# So many of them are remembered; the oldest is forgotten.
STRIKERS_MAX = 1000

"""The bounds that two roles must agree on. Each has a metric where it can be reached (docs/limits.md)."""

KIB = 1024
MIB = 1024 * KIB

# One Kubernetes object as JSON. etcd's own limit is 1.5 MiB by default; 8 MiB leaves room for large setups.
OBJECT_BYTES_MAX = 8 * MIB
# One message on the wire: an object that travels alone, its old version, and the rest of the batch.
MESSAGE_BYTES_MAX = 16 * MIB
# What libzmq may accept: above the bound that senders check, since reaching it cuts the connection silently.
FRAME_BYTES_MAX = MESSAGE_BYTES_MAX + 64 * KIB
ARRAY_ITEMS_MAX = 100_000
STRING_BYTES_MAX = 4 * KIB

# A batch is what is ready, at most so much (larger batches gain little: 9 µs an event at 32, 11 at 8).
BATCH_DELTAS_MAX = 64
BATCH_BYTES_MAX = 256 * KIB

# Credit: unacknowledged deltas and bytes per stream (reflector → fifo) and per shard (fifo → informer).
STREAM_DELTAS_MAX = 4096
STREAM_BYTES_MAX = 32 * MIB
SHARD_DELTAS_MAX = 1024
SHARD_BYTES_MAX = 8 * MIB

# Messages waiting in a socket. Credit keeps far below it, so reaching it is a bug (docs/wire.md §1).
SOCKET_MESSAGES_MAX = 20_000

# What a worker holds for a peer that asks about caches: answers that its connection has not taken, questions that wait
# for room or time. A process asks 256 at once (handlers/queries).
UNREAD_BYTES_MAX = 4 * MIB
UNREAD_MESSAGES_MAX = 512
QUESTIONS_WAITING_MAX = 1_024
QUESTIONS_BYTES_MAX = MIB

# What a socket answers to peers without a session, and the lines that it writes about broken rules.
RESETS_MAX = 1_000
RESETS_EVERY_S = 1.0
LINES_MAX = 100
LINES_EVERY_S = 10.0

# A peer silent for this many heartbeat intervals is gone (docs/wire.md §3).
SILENT_INTERVALS_MAX = 3

"""Bytes on a socket: messages, sessions, and the two ends of a connection (docs/wire.md).

``codec`` packs and checks, ``session`` decides (pure), ``link`` is the end that connects, ``listener`` the
end that binds, ``heartbeat`` the thread that says "still here".

Not here: what the messages of a role mean.
"""

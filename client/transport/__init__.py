"""Streams to and from containers over WebSockets: exec, attach, port-forward; and logs as lines.

`remote_command` runs a program in a container, `port_forward` listens on local ports, `logs` cuts a log into
lines; `channels` (pure) and `forwarding` are what they share with async code, `websocket` is the connection,
`tls_socket` its TLS.

Not here: requests with one answer and watches (client/rest), the same awaited (client/aio/transport); SPDY, which
servers still take, but need not.
"""

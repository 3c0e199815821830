"""Streams to and from containers over WebSockets: exec, attach, port-forward; and logs as lines.

`remote_command` runs a program in a container, `port_forward` listens on local ports, `logs` cuts a log into
lines; `channels` is the framing (pure), `websocket` the connection, `tls_socket` its TLS.

Not here: requests with one answer and watches (client/rest); SPDY, which servers still take, but need not.
"""

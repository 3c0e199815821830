"""Streams into the containers of pods: commands, terminals and ports, scripted by a test.

Programs here are Python functions that get and give bytes; nothing is ever run on this machine.

Not here: HTTP and WebSockets (``http``), what a container has printed (``core.logs``), whether it runs
(``core.pods``). The only socket is that of `ports.LocalPort`, which a test asks for.
"""

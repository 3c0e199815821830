"""What the containers of pods do when somebody talks to them: commands, terminals and ports, scripted by a test.

Programs here are Python functions that get and give bytes; nothing is ever run on this machine. No HTTP and no
socket belongs here, but for `ports.LocalPort`, which leads to a port of this machine because a test says so.
What a container has printed is in ``core.logs``, whether it runs in ``core.pods``.
"""

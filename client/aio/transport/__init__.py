"""Streams to and from containers for async code: exec, attach, port-forward; and logs as lines.

Not here: framing, requests and what errors mean (client/transport).
"""

"""Shapes of messages that two roles share: array-like Structs, checked by the sender's type and by the receiver.

Not here: shapes that only the receiving role knows (fifo/messages, reflector/messages).
"""

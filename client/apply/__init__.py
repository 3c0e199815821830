"""Server-side apply: partial objects to send, and what a manager owns of an object.

Not here: sending them (`ObjectClient.apply`).
"""

"""A pipeline over several hosts: which host has which shards, and how they move.

Not here: what one host shows of itself (``supervisor``).
"""

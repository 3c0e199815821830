"""Applying a patch to an object: one module for each media type.

Not here: versions, conflicts, storing the outcome.
"""

"""Field ownership and server-side apply: field sets, managers, conflicts, merging, giving up fields.

All of it works on trees (decoded JSON) and returns new ones.

Not here: storing the outcome, versions, HTTP.
"""

"""Who set which field, and server-side apply: field sets, managers, conflicts, merging, giving up fields.

All of it works on trees (decoded JSON) and returns new ones; see fake API server §5.6-5.9.

Not here: storing the outcome, versions, HTTP.
"""

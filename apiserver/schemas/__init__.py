"""A custom resource's schema at work: dropping unknown fields, filling in defaults, checking values.

Functions from a schema (a dict as in a definition) and a tree. Rules in CEL
(``x-kubernetes-validations``) are run by `deltawire.apiserver.cel`.

Not here: which resource has which schema, how a failure becomes a Status.
"""

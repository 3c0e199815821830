"""Rules in CEL: those of custom resources' schemas, conditions of webhooks, admission policies.

The language itself comes from the library ``cel-expr-python``, which is loaded with the first rule. Here are the
functions that Kubernetes adds to it, the types and values of schemas, and the texts of refusals.

Not here: which object is held to which rule; HTTP.
"""

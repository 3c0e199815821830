"""Admission of a write: webhooks that users configure, and policies in CEL.

What a request would write is worked out first, shown to mutating webhooks, held against policies, and shown to
validating webhooks. `attempt` and `matching` are facts and rules, `review` is what goes over the wire, `calls` makes
the call.

Not here: what the server itself adds and refuses (`deltawire.apiserver.core.admission`).
"""

"""OpenAPI v3: what ``kubectl explain`` shows and what clients look up before they write.

Built-in kinds are described from the source of the model classes that the lightkube-models package ships,
custom kinds by their own schema (docs/adr/0003).

Not here: checking objects against a schema; the constant that stands for OpenAPI v2.
"""

"""Kinds to resources and back, with versions, scope and short names, from discovery.

`mapper` answers from one discovery, `deferred` asks for it when it must, `shortcuts` unfolds short names and
categories.

Not here: the grammar of names that people write (common/meta/resources), requests.
"""

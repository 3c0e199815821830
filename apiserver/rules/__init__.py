"""What objects of built-in kinds must hold beside the types of their fields: tables of small rules.

A rule gets an object (a change: the old and the new one) and yields causes as a Status carries them. Rules look
only at what they need: what a rule does not know passes.

Not here: types of fields, schemas of custom resources, HTTP.
"""

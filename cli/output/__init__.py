"""Objects as kubectl prints them: tables, JSON, YAML, names, JSONPath templates.

Not here: where objects come from, and status of the pipeline (cli/view).
"""

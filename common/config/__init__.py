"""The configuration: what a person writes (``schema``), how it is read and checked (``load``), and what
every role derives from it in the same way (``plan``).

Not here: defaults of a role's inner limits (``common.limits`` or the role), command-line flags (cli/).
"""

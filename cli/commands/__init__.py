"""One module per command: its flags, its help, and the few calls that do the work.

A module here imports typer and little else at its top; what the work needs is imported inside the function,
so that ``deltawire up`` does not pay for what ``deltawire get`` needs.

Not here: the work itself, and how a process is supervised.
"""

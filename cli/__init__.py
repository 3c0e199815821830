"""The command line: commands, the supervisor that runs the roles as processes, and the live view.

``commands`` parses and prints, ``supervisor`` starts and restarts processes and keeps the one status
model, ``view`` renders it.

Not here: decisions of a role; a command asks a role or reads the store.
"""

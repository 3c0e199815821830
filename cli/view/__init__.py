"""Renders a `Snapshot` for people: ``lines`` one line a second, ``live`` a screen on a terminal, ``summary`` the end.

Not here: where the figures come from (cli/supervisor/status_model).
"""

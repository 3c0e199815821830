"""Runs the roles as processes and knows how they are.

``machine`` decides when a process is started, stopped and given up (pure), ``processes`` does it,
``status_model`` merges what the roles report (pure), ``control`` is the socket they report to, ``metrics``
the HTTP face, ``supervisor`` the loop that joins them.

Not here: what a role does; rendering for people (cli/view).
"""

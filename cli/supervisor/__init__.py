"""Runs the roles as processes and knows how they are.

``machine`` decides when a process is started, stopped and given up (pure), ``processes`` does it,
``lives`` joins the two, ``status_model`` merges what the roles report (pure), ``figures`` adds what the kernel says of
them, ``control`` is the socket they report to, ``gathering`` the loop, ``metrics`` the HTTP face; ``supervisor``
puts them together.

Not here: what a role does; rendering for people (cli/view).
"""

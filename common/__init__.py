"""What two roles must agree on: bytes on a socket, bytes on disk, words, and the manners of a process.

``wire`` (messages and sessions), ``store`` (the layout of the state folder and its readers), ``meta``
(names, keys, versions, selectors), ``config``, ``errors``, ``limits``, ``clock``, ``beats``, ``logs``,
``parent``, ``process``.

Not here: anything that only one folder uses (it moves there), and any decision of a role.
"""

"""What an API server does, without HTTP: objects, versions, events, lists, watches, the rules of each write.

``api`` is the face (`ApiCore`); ``store`` holds the objects and the one rising version, ``window`` the recent
events of a resource, ``catalogue`` the resources that are served. Everything runs in one thread, the event
loop's; the clock, uids and random names come through constructors.

Not here: sockets, media types, tables for people, tokens, a simulated cluster.
"""

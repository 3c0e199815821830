"""Handler groups on one shard: how far each is, what it holds, what is parked, what it is sent next. Pure.

Not here: rows on disk (`informer.store`), sockets (`informer.handlers_link`).
"""

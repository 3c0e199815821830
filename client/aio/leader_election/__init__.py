"""Leader election of async code: decisions as in `client.tools.leader_election`, requests that are awaited.

Not here: an elector yet, only the lock; what the leader does.
"""

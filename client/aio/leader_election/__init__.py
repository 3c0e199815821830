"""Leader election of async code: decisions as in `client.tools.leader_election`, requests that are awaited.

Not here: what the leader does; locks on anything but a Lease.
"""

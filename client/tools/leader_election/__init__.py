"""One active holder among candidates, through a Lease.

`record` is what the Lease says, `candidate` decides and `attempt` says in which requests (pure), `lease_lock` reads and
writes, `elector` runs. For event loops: `deltawire.client.aio.leader_election`.

Not here: what the leader does; locks on anything but a Lease.
"""

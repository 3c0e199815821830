"""One active holder among candidates, through a Lease.

`record` is what the Lease says, `candidate` decides (pure), `lease_lock` reads and writes, `elector` runs.

Not here: what the leader does; locks on anything but a Lease.
"""

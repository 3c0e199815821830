"""Leader election of async code: decisions as in `client.tools.leader_election`, requests that are awaited."""

"""What a shard's groups know, kept outside the worker's disk, so that the shard can move to another host."""

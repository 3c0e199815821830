"""Informers on the caches of a pipeline that runs, here or on another host: nothing is watched a second time."""

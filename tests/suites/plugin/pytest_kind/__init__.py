"""In place of the package of that name, which makes clusters of containers."""

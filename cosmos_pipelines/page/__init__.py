"""The web page: Dagster's, with our routes in front of it, on one address."""

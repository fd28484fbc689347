"""The web page: Dagster's page and the routes of this project on one address."""

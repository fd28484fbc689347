"""The Dagster assets, and the execution that they share with the command line."""

"""The Dagster system that turns rendered scenes into photoreal video on GPUs."""

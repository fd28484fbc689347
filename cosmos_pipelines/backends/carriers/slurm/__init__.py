"""The carrier that runs orders as jobs of a Slurm cluster; the host is a login node of it."""

"""A fleet of real hosts, each with address, root file system, sshd, Docker daemon and a link."""

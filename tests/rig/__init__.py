"""A fleet of real hosts: own address, root, sshd and Docker engine each, on links one can cut."""

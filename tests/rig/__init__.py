"""A fleet of real hosts: own address, root, sshd and Docker daemon each, on links one can cut."""

"""What carries an order where it runs: a process of this machine, a container of Docker."""

"""What is going on, and stopping it: status, logs, kill, show, why."""

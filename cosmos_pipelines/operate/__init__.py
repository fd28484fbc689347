"""Watch and stop runs: status, logs, kill, show, why."""

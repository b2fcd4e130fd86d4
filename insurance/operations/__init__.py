"""What keeps the system honest and running: numeric cases, verification, backup, checks."""

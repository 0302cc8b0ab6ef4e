"""Which of several operators decides: the one that holds the Lease."""

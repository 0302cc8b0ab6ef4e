"""What each node is to run (pure): who is accepted, who takes part, with what number."""

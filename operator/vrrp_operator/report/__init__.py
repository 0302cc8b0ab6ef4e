"""What nodes say, as statuses, conditions and what happened (pure)."""

"""What objects say, as frozen values; whatever is decided is decided from these (pure)."""

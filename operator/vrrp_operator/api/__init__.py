"""The API server: requests, watches, and what is known of its objects."""

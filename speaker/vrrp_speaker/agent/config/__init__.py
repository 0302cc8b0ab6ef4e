"""Where the configuration and its keys come from: read, watched, kept for a start, understood."""

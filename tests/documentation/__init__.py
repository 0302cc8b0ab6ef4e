"""What the pages of the documentation hold, taken apart for tests."""

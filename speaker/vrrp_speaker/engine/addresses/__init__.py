"""Addresses that are bound: watched, put back, announced."""

"""Addresses that are bound: asked for beside the loop, leased, watched, put back."""

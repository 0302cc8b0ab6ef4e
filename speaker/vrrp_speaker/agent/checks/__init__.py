"""Health checks: when they run, what a run is, and what its results add up to."""

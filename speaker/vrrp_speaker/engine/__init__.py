"""The engine: one loop that owns the sockets and the addresses that failover needs.

Beside the loop one thread makes the requests for which the kernel may make it wait (``addresses``).
"""

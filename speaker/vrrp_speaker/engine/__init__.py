"""The engine: one thread, one loop; owns the sockets and the addresses that failover needs."""

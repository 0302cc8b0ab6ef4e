"""Sockets of VRRP: what is sent and received, encoded, filtered, and the groups that are joined."""

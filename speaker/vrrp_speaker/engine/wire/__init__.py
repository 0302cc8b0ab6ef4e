"""What leaves and arrives: sockets, encoding, paced frames, filters, and the groups of VRRP."""

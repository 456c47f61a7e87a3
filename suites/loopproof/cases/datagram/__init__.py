"""Cases of the area datagram."""

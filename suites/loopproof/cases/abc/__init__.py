"""Cases of the area abc."""

"""Cases of the area streams."""

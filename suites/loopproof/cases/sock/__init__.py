"""Cases of the area sock."""

"""Cases of the area pipes."""

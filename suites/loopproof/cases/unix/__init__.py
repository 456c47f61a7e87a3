"""Cases of the area unix."""

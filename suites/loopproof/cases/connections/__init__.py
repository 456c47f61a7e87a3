"""Cases of the area connections."""

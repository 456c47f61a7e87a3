"""Cases of the area scheduling."""

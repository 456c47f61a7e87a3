"""Cases of the area errors."""

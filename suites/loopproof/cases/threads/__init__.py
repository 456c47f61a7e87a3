"""Cases of the area threads."""

"""Cases of the area protocols."""

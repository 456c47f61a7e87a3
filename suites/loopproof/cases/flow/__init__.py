"""Cases of the area flow."""

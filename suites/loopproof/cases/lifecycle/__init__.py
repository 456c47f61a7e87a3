"""Cases of the area lifecycle."""

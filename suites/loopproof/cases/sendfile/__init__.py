"""Cases of the area sendfile."""

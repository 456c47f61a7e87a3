"""Cases of the area servers."""

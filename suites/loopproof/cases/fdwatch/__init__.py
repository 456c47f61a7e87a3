"""Cases of the area fdwatch."""

"""Cases of the area timers."""

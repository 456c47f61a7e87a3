"""Cases of the area transports."""

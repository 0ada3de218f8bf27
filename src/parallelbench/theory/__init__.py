"""The theory room: exact distributions over answers."""

"""What is raised when something is true that must never be."""


class Failure(Exception):
    """Its text says what."""

"""The command line."""


def main() -> None:
    """Run the command `numbabp`."""
    from .app import main as run  # not before it is called: the smoke run's second process has no use for it

    run()

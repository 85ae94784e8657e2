"""The command line."""


def main() -> None:
    """Run the command `numbabp`."""
    # not before it is called: the smoke run's second process has no use for them
    from .streams import INTERRUPTED, open_closed_ones

    open_closed_ones()
    try:
        from .app import app

        app(prog_name="numbabp")
    except KeyboardInterrupt:  # while modules are imported; commands have theirs
        raise SystemExit(INTERRUPTED) from None

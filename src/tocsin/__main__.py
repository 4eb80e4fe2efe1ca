"""`tocsin`, and `python -m tocsin`."""

import gc

gc.disable()  # nothing that is loaded here is garbage, and looking for some takes a tenth of the start

from tocsin.cli import main as commands  # noqa: E402


def main() -> None:
    """The console script."""
    gc.freeze()
    gc.enable()
    commands()


if __name__ == "__main__":
    main()

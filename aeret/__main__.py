"""``python -m aeret`` is the command line."""

from aeret.cli import main

if __name__ == "__main__":
    main()

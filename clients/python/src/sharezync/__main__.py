"""`sharezync`: the command line."""

import sys

from sharezync.cli import run


def main() -> int:
    """Run the command that the process was given; return the exit status."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

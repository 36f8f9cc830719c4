"""`python -m kpx` is `kpx`."""

import sys

from kpx.cli import main

if __name__ == "__main__":
    sys.exit(main())

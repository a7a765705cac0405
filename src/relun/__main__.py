"""``python -m relun``."""

import sys

from relun.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

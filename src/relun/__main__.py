"""``python -m relun``."""

from relun.cli.main import main

if __name__ == "__main__":
    main()

"""``python -m llamacy``: the command line."""

from llamacy.cli import main

if __name__ == "__main__":
    main()

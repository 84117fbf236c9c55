"""`python -m headscarp` is `headscarp`."""

from headscarp.cli import main

if __name__ == "__main__":
    main()

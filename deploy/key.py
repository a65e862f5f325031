"""Make a key of the service, and print it with its entry for `SONDA_API_KEYS`.

    python deploy/key.py NAME

The key goes to the person or program `NAME`; the entry holds only its sha256. To change a key, add
the entry of a new one under the same name, and remove the old one when nobody uses it any more.
"""

import argparse
import secrets
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploy.serving.http.keys import ENTRY, digest

BYTES = 32


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a key for SONDA_API_KEYS.")
    parser.add_argument("name", help="who it is for; letters, digits, '.', '_' and '-'")
    name = parser.parse_args().name
    key = secrets.token_urlsafe(BYTES)
    entry = f"{name}:{digest(key)}"
    if not ENTRY.fullmatch(entry):
        parser.error(f"{name!r}: a name has 1 to 64 letters, digits, '.', '_' or '-'")
    print(f"key (it is not stored anywhere): {key}\nentry of SONDA_API_KEYS: {entry}")


if __name__ == "__main__":
    main()

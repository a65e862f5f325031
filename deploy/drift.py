"""Ask a running service whether its images have drifted, and print the comparison.

    python deploy/drift.py http://127.0.0.1:3000

A service with keys needs one in the environment variable `SONDA_KEY`. The command ends with 3 if
there is an alarm, with 1 if it got no answer, else with 0.
"""

import argparse
import json
import os
import sys
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

KEY = "SONDA_KEY"
ALARM = 3
"""Exit status of an alarm."""
SECONDS = 30
WIDTH = 30
"""Letters of the bar of a share of 1."""


def fetch(url: str) -> dict[str, Any]:
    """What the service at `url` answers at `/drift`. Exits with a message if it does not answer."""
    if not url.startswith(("http://", "https://")):
        sys.exit(f"error: {url!r} is no address: give one such as http://127.0.0.1:3000")
    key = os.environ.get(KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address = f"{url.rstrip('/')}/drift"
    try:
        with urlopen(Request(address, headers=headers), timeout=SECONDS) as response:
            return dict(json.load(response))
    except HTTPError as error:
        ways = {
            401: f"set {KEY} to a key that it knows",
            404: "it serves a table, closes its metrics (SONDA_CLOSED), or is older",
        }
        sys.exit(f"error: {address} answers {error.code}: {ways.get(error.code, 'see its log')}")
    except (URLError, OSError, ValueError) as error:
        sys.exit(f"error: {address} does not answer ({error}): is the service running?")


def report(found: dict[str, Any]) -> str:
    """The answer of `/drift` as text for a terminal."""
    if found["alarm"] is None:
        return f"not compared: {found['why']}"
    said = "ALARM: the images have drifted" if found["alarm"] else "no alarm"
    lines = [
        f"{said} (p = {found['p_value']:g}; the last {found['window']} predictions against "
        f"{found['validation']} validation images)"
    ]
    for name, each in found["quantities"].items():
        lines += ["", f"{name}: population stability index {each['psi']:.3f}"]
        width = max(map(len, each["bins"]))
        for label, old, new in zip(each["bins"], each["validation"], each["window"], strict=True):
            bar = "#" * round(WIDTH * new)
            lines.append(f"  {label:<{width}}  {old:6.1%} before  {new:6.1%} now  {bar}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Ask a service whether its images have drifted.")
    parser.add_argument("url", help="address of the service, such as http://127.0.0.1:3000")
    found = fetch(parser.parse_args().url)
    print(report(found))
    sys.exit(ALARM if found["alarm"] else 0)


if __name__ == "__main__":
    main()

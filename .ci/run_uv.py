"""Run the locked uv with the package configuration that this machine gave to pip.

    .venv/bin/python .ci/run_uv.py pip sync ...

uv reads neither pip.conf nor PIP_* variables. What pip would use (index, extra indexes, folders
of wheels, certificates, trusted hosts) is handed over as uv's variables, so no index and no
path is written down in the repository; a UV_* variable that is set already wins.
"""

from __future__ import annotations

import ast
import os
import ssl
import subprocess
import sys
from pathlib import Path

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
LEVELS = ("global.", "install.", ":env:.")
"""Sections of `pip config list` that hold for `pip install`, the strongest last."""


def pip_options(listing: str) -> dict[str, str]:
    """Options from the output of `pip config list`, lines such as `global.cert='/x'`."""
    options: dict[str, str] = {}
    lines = [line.split("=", 1) for line in listing.splitlines() if "=" in line]
    for level in LEVELS:
        for key, value in lines:
            if key.startswith(level):
                options[key.removeprefix(level)] = str(ast.literal_eval(value))
    return options


def uv_environment(options: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """`environment` with uv's variables added where they are not set."""
    added = {VARIABLES[key]: value for key, value in options.items() if key in VARIABLES}
    # pip separates by white space everywhere, uv by commas in this one variable.
    if "UV_FIND_LINKS" in added:
        added["UV_FIND_LINKS"] = ",".join(added["UV_FIND_LINKS"].split())
    if "UV_INDEX" in added or "UV_DEFAULT_INDEX" in added:
        # pip takes a pinned version from whichever index has it. The hashes make that safe.
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "SSL_CERT_FILE" not in added and system_certificates():
        # uv brings its own list otherwise, and knows no company's or proxy's authority.
        added["UV_SYSTEM_CERTS"] = "true"
    return added | environment


def system_certificates() -> bool:
    """Whether this machine keeps certificate authorities where OpenSSL looks for them."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or any(Path(paths.capath or os.devnull).glob("*"))


def writable(folder: Path) -> bool:
    """Whether `folder` can be written or made, as it cannot below a home that does not exist."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(existing, os.W_OK)


def main() -> int:
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    environment = uv_environment(pip_options(listing), dict(os.environ))
    uv = Path(sys.executable).with_name("uv")
    cache = subprocess.run([str(uv), "cache", "dir"], capture_output=True, text=True).stdout.strip()
    if not writable(Path(cache)):
        environment["UV_CACHE_DIR"] = str(Path(".cache/uv").absolute())
    return subprocess.run([str(uv), *sys.argv[1:]], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

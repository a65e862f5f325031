"""API keys and their rates: who may ask, and how often.

Of a key only the sha256 is configured. Keys are random and long (`deploy/key.py` makes them), so
guessing one is hopeless, and neither salt nor a slow hash would add to that.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

KEYS, FILE, RATE = "SONDA_API_KEYS", "SONDA_API_KEYS_FILE", "SONDA_REQUESTS_PER_MINUTE"
"""Environment variables: entries, a file with an entry on each line, and the rate of each key."""
ENTRY = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")
"""Name and sha256 of a key. A name with several keys is one that changes its key."""


def digest(key: str) -> str:
    """The sha256 of `key`, as it stands in the configuration."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Keys:
    """The known keys, as pairs of name and sha256; none where everybody may ask."""

    def __init__(self, entries: Sequence[tuple[str, str]] = ()) -> None:
        self._entries = tuple(entries)

    @classmethod
    def from_environment(cls) -> "Keys":
        """The keys of `SONDA_API_KEYS` or `SONDA_API_KEYS_FILE`. Raises `ValueError`."""
        text, file = os.environ.get(KEYS, ""), os.environ.get(FILE, "")
        if text and file:
            raise ValueError(f"{KEYS} and {FILE} are both set: set one of them")
        variable = FILE if file else KEYS
        if file:
            try:
                text = Path(file).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise ValueError(f"{FILE}={file!r} cannot be read: {error}") from None
        lines = (line.partition("#")[0] for line in text.splitlines())
        words = [word for line in lines for word in re.split(r"[\s,]+", line) if word]
        if (text or file) and not words:
            raise ValueError(f"{variable} holds no key: unset it, or add one (deploy/key.py)")
        return cls([_entry(word, number, variable) for number, word in enumerate(words, start=1)])

    @property
    def names(self) -> list[str]:
        """The names of all keys, sorted."""
        return sorted({name for name, _ in self._entries})

    def __bool__(self) -> bool:
        return bool(self._entries)

    def owner(self, key: str) -> str | None:
        """The name of `key`, or None. All are compared, each in constant time."""
        given = digest(key)
        found = [name for name, known in self._entries if compare_digest(given, known)]
        return found[0] if found else None


def _entry(word: str, number: int, variable: str) -> tuple[str, str]:
    """Name and sha256 of an entry; the message shows no entry, which may be a key by mistake."""
    if not (match := ENTRY.fullmatch(word)):
        raise ValueError(
            f"{variable}: entry {number} is not <name>:<sha256 in 64 small hexadecimal digits>; "
            "python deploy/key.py <name> makes a key and prints its entry"
        )
    return match[1], match[2]


class Rate:
    """A bucket of `per_minute` requests for each name, which fills evenly; 0 is without limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # requests left, and when that was

    @classmethod
    def from_environment(cls) -> "Rate":
        """The rate of `SONDA_REQUESTS_PER_MINUTE`. Raises `ValueError`."""
        text = os.environ.get(RATE, "")
        if text and (not text.isdecimal() or int(text) == 0):
            raise ValueError(f"{RATE}={text!r} is not a whole number over 0")
        return cls(int(text or 0))

    def wait(self, name: str) -> float:
        """Take one request of `name`: 0, or the seconds until there is one."""
        if not self.per_minute:
            return 0
        now, per_second = self._clock(), self.per_minute / 60
        left, at = self._buckets.get(name, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - at) * per_second)
        allowed = left >= 1
        self._buckets[name] = (left - allowed, now)
        return 0 if allowed else (1 - left) / per_second

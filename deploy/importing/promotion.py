"""How a version of the registry became champion, from the tags that `deploy/promote.py` sets."""

import json
from collections.abc import Mapping
from typing import Any

FORCED = "forced: "
"""What the reason of a forced promotion begins with."""


def promotion_of(tags: Mapping[str, str]) -> dict[str, Any]:
    """How, when and why a version with these `tags` was promoted, and the evidence.

    `how` is `evidence`, `first` (no champion to compare with), `forced`, `rollback`, `rolled_back`
    (a rollback left it), `allowed` (by an older revision, which compared nothing) or `none`. Who
    promoted it stays in the registry: a service need not say it.
    """
    if "promoted_at" not in tags:
        return {"how": "none"}
    if "rolled_back_at" in tags:
        return {
            "how": "rolled_back",
            "at": tags["rolled_back_at"],
            "because": tags.get("rolled_back_because", ""),
        }
    because = tags.get("promoted_because", "")
    older = "forced" if because.startswith(FORCED) else "allowed"
    found: dict[str, Any] = {
        "how": tags.get("promoted_how", older),
        "at": tags["promoted_at"],
        "because": because.removeprefix(FORCED),
    }
    if "evidence" in tags:
        known = json.loads(tags["evidence"])
        found["evidence"] = {key: value for key, value in known.items() if value is not None}
    return found

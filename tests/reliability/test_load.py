"""At twice its capacity a service answers what it accepts, refuses the rest at once, and stays.

SONDA_LOAD_SECONDS is how long: 15, and 120 or more in a long run.
"""

import os

import pytest

from deploy.serving.http.limits import Limits
from tests.reliability.common import Running
from tests.reliability.load import markdown, overload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SECONDS = int(os.environ.get("SONDA_LOAD_SECONDS", "15"))
REFUSED_SECONDS = 0.1
"""Or as long as an accepted request, on a busy machine."""
SLOWER = 4
"""How many times as long as its place in the queue says an accepted request may take."""
GROWTH_MB = 60


def test_at_twice_the_capacity_nothing_is_lost_and_memory_is_flat(plain: Running) -> None:
    alone, full = overload(plain.address, plain.pid, SECONDS)
    print(markdown(alone, full))
    assert alone.failed == full.failed == 0
    assert set(full.answers) == {"200", "503"}
    assert full.rate > alone.rate / 2, "it answers less the more it is asked"
    assert full.quantile("503", 0.5) < max(REFUSED_SECONDS, full.quantile("200", 0.5))
    assert full.quantile("200", 0.99) < SLOWER * Limits().max_requests / full.rate
    assert full.growth() < GROWTH_MB

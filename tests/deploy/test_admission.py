"""What does not fit waits in line, nothing is lost, and nobody waits for ever."""

import asyncio
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.serving.http.admission import Admission, Budget
from deploy.serving.http.limits import Limits
from deploy.serving.http.refusals import Refused

TOTAL = 10
PATIENCE = 30
"""Seconds of a request that is not meant to give up."""
SMALL = Limits(max_pixels=TOTAL, max_request_pixels=TOTAL, max_total_pixels=TOTAL, wait_seconds=1)
requests = st.lists(
    # Pixels, steps of the event loop until they are given back, and whether the client goes away.
    st.tuples(st.integers(0, TOTAL), st.integers(0, 5), st.booleans()),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(requests)
def test_what_is_under_way_never_exceeds_the_budget_and_all_are_served(
    asked: list[tuple[int, int, bool]],
) -> None:
    budget = Budget(TOTAL)
    taken: list[int] = []
    served: list[int] = []

    async def ask(number: int, amount: int, steps: int) -> None:
        await budget.take(amount, PATIENCE)
        taken.append(amount)
        assert sum(taken) <= TOTAL
        served.append(number)
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
        finally:
            taken.remove(amount)
            budget.give(amount)

    async def run() -> None:
        tasks = [asyncio.create_task(ask(n, a, s)) for n, (a, s, _) in enumerate(asked)]
        for step in range(3):
            await asyncio.sleep(0)
            for task, (_, _, leaves) in list(zip(tasks, asked, strict=True))[step::3]:
                if leaves:
                    task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(task.exception() for task in tasks if not task.cancelled())

    asyncio.run(run())
    assert budget.free == TOTAL
    stayed = {number for number, (_, _, leaves) in enumerate(asked) if not leaves}
    assert stayed <= set(served)
    assert served == sorted(served)  # in the order of asking: large ones do not starve


def test_who_has_waited_long_enough_is_told_when_to_come_back() -> None:
    free = threading.Event()

    async def run() -> None:
        admission = Admission(SMALL)
        with admission.place() as first, admission.place() as second, admission.place() as third:
            waited_for = asyncio.create_task(first.compute(TOTAL, free.wait, PATIENCE))
            await asyncio.sleep(0)
            with pytest.raises(Refused, match=r"3 pixels had no room .* for 1 s") as refused:
                await second.compute(3, int)
            assert refused.value.status == 503
            assert refused.value.retry_after
            free.set()
            assert await waited_for
            assert await third.compute(TOTAL, int) == 0

    asyncio.run(run())


def test_pixels_are_held_until_the_thread_ends_also_where_nobody_waits() -> None:
    free, begun = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return free.wait(PATIENCE)

    async def run() -> None:
        admission = Admission(SMALL)
        with admission.place() as first, admission.place() as second:
            left = asyncio.create_task(first.compute(TOTAL, work))
            await asyncio.to_thread(begun.wait, PATIENCE)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
            with pytest.raises(Refused, match="had no room"):
                await second.compute(1, int)
            free.set()
            assert await second.compute(TOTAL, int) == 0

    asyncio.run(run())


@pytest.mark.parametrize("pixels", [None, TOTAL])
def test_a_place_is_held_until_the_thread_ends_also_where_nobody_waits(pixels: int | None) -> None:
    free, begun = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return free.wait(PATIENCE)

    async def ask(admission: Admission, seconds: float) -> None:
        with admission.place() as place:
            async with asyncio.timeout(seconds):  # as over a request
                if pixels is None:
                    await place.in_thread(work)
                else:
                    await place.compute(pixels, work)

    async def run() -> None:
        admission = Admission(replace(SMALL, max_requests=1))
        with pytest.raises(TimeoutError):
            await ask(admission, 0.2)
        await asyncio.to_thread(begun.wait, PATIENCE)
        with pytest.raises(Refused, match="1 requests are under way"), admission.place():
            pass
        free.set()
        admission.threads.shutdown()
        await asyncio.sleep(0)
        assert (admission.reading, admission.computing, admission.bytes) == (0, 0, 0)
        assert admission.pixels.free == TOTAL
        with admission.place():
            assert admission.reading == 1

    asyncio.run(run())


def test_who_reads_is_in_nobodys_way_and_who_computes_takes_another_place() -> None:
    async def run() -> None:
        admission = Admission(replace(SMALL, max_reading=2, max_requests=1))
        with admission.place() as first, admission.place() as second:
            with pytest.raises(Refused, match="2 requests are being sent"), admission.place():
                pass
            assert await first.in_thread(int) == 0
            assert (admission.reading, admission.computing) == (1, 1)
            with pytest.raises(Refused, match="1 requests are under way"):
                await second.in_thread(int)
            assert await first.compute(1, int) == 0  # it has its place already
        assert (admission.reading, admission.computing) == (0, 0)

    asyncio.run(run())


def test_a_part_that_no_whole_would_hold_is_named() -> None:
    with pytest.raises(ValueError, match="PIXELS=100 is more than SONDA_MAX_REQUEST_PIX"):
        Limits(max_pixels=100, max_request_pixels=50)
    with pytest.raises(
        ValueError, match=r"SONDA_MAX_BYTES=.* is more than SONDA_MAX_TOTAL_BYTES=1"
    ):
        Limits(max_total_bytes=1)


def test_each_kind_of_service_has_defaults_that_the_environment_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = Limits(max_bytes=5)
    assert Limits.from_environment(tables) == tables
    monkeypatch.setenv("SONDA_MAX_BYTES", "7")
    monkeypatch.setenv("SONDA_WAIT_SECONDS", "3")
    assert Limits.from_environment(tables) == Limits(max_bytes=7, wait_seconds=3)

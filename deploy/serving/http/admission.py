"""Admission of requests: count requests, bytes and pixels; queue or refuse what is over a limit.

A request takes a place for reading, and its body is counted as it arrives. Its first work in a
thread takes a place for computing in exchange, so slow clients are in nobody's way. Its computation
takes pixels from a budget that all requests share, and waits until they fit. Work runs in a pool
with one thread for each core. Places, bytes and pixels are given back when the threads of the
request have ended, even if the client has gone or the time is over.

```mermaid
flowchart LR
    place["place for reading: 503 when full"] --> body["body: 503 over max_total_bytes"]
    body --> computing["place for computing: 503 when full"]
    computing --> queue["queue for pixels: 503 after wait_seconds"] --> thread
```
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.types import Message

from .limits import Limits, cores
from .refusals import Refused

RETRY_SECONDS = 2
"""`Retry-After` of a full service, in seconds: the time of a few predictions."""
InThread = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in a thread, so that the event loop is not blocked."""


class Budget:
    """An amount that requests share; a request that does not fit waits, first in, first out.

    Use it from the event loop only: it is not safe for several threads.
    """

    def __init__(self, total: int) -> None:
        self.free = total
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, amount: int, seconds: float) -> None:
        """Take `amount` as soon as it fits. Raises `TimeoutError` after `seconds`."""
        if not self._queue and amount <= self.free:
            self.free -= amount
            return
        waiting = (amount, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        try:
            async with asyncio.timeout(seconds):
                await waiting[1]
        except BaseException:
            if waiting in self._queue:
                self._queue.remove(waiting)
            elif not waiting[1].cancelled():  # it was its turn when it gave up
                self.free += amount
            self._admit()
            raise

    def give(self, amount: int) -> None:
        """Return `amount`, and admit the next requests in the queue."""
        self.free += amount
        self._admit()

    def _admit(self) -> None:
        while self._queue and (self._queue[0][1].cancelled() or self._queue[0][0] <= self.free):
            amount, turn = self._queue.popleft()
            if not turn.cancelled():
                self.free -= amount
                turn.set_result(None)


class Admission:
    """Requests, bytes and pixels in progress in one process, within `limits`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.reading = 0
        self.computing = 0
        self.bytes = 0
        self.pixels = Budget(limits.max_total_pixels)
        self.threads = ThreadPoolExecutor(cores(), thread_name_prefix="answer")

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """The place of one request, until the block and the threads started in it have ended.

        Raises `Refused` (503) when there is none, for reading or for computing.
        """
        self.check_computing()
        if self.reading >= self.limits.max_reading:
            raise _overloaded(f"{self.reading} requests are being sent")
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def check_computing(self) -> None:
        """Raise `Refused` (503) when no more requests may wait or be computed."""
        if self.computing >= self.limits.max_requests:
            raise _overloaded(f"{self.computing} requests are under way")

    def check_bytes(self, size: int) -> None:
        """Raise `Refused` (503) when `size` more bytes would be too many."""
        if self.bytes + size > self.limits.max_total_bytes:
            raise _overloaded(f"{self.bytes} bytes of requests are under way")


class Place:
    """What one request holds: a place for reading, then one for computing, and its bytes.

    Use it from the event loop only.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._holders = 1  # the request, and each of its threads
        self._computing = False
        self._bytes = 0
        admission.reading += 1

    def counted(self, request: Request) -> Request:
        """`request`, whose bytes count as they are read; `Refused` (503) for one too many."""

        async def receive() -> Message:
            message = await request.receive()
            size = len(message.get("body", b""))
            self._admission.check_bytes(size)
            self._admission.bytes += size
            self._bytes += size
            return message

        return Request(request.scope, receive)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work(*arguments)` in a thread; for work that decodes no image.

        Raises `Refused` (503) when there is no place for computing.
        """
        self._compute()
        return await asyncio.wrap_future(self._started(work, *arguments))

    async def compute(self, pixels: int, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work(*arguments)` in a thread once its `pixels` fit. Raises `Refused` (503)."""
        self._compute()
        limits, budget = self._admission.limits, self._admission.pixels
        try:
            await budget.take(pixels, limits.wait_seconds)
        except TimeoutError:
            raise _overloaded(
                f"{pixels} pixels had no room beside those under way for {limits.wait_seconds} s"
            ) from None
        loop = asyncio.get_running_loop()
        running = self._started(work, *arguments)
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(budget.give, pixels))
        return await asyncio.wrap_future(running)

    def leave(self) -> None:
        """The request or one of its threads has ended; the last one gives everything back."""
        self._holders -= 1
        if self._holders:
            return
        self._admission.bytes -= self._bytes
        if self._computing:
            self._admission.computing -= 1
        else:
            self._admission.reading -= 1

    def _compute(self) -> None:
        """Exchange the place for reading for one for computing."""
        if not self._computing:
            self._admission.check_computing()
            self._admission.reading -= 1
            self._admission.computing += 1
            self._computing = True

    def _started(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        loop = asyncio.get_running_loop()
        running = self._admission.threads.submit(work, *arguments)
        self._holders += 1
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self.leave))
        return running


def _overloaded(why: str) -> Refused:
    return Refused(503, "overloaded", f"{why}: try again in {RETRY_SECONDS} s", RETRY_SECONDS)

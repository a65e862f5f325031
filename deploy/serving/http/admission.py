"""Admission of requests: count requests, bytes and pixels; queue or refuse what is over a limit.

A request takes a place, and its body is counted as it arrives. Its computation takes pixels from a
budget that all requests share, and waits until they fit. Computations run in a pool with one thread
for each core. The pixels return to the budget when the thread ends, even if the client has gone.

```mermaid
flowchart LR
    place["place: 503 when full"] --> body["body: 503 over max_total_bytes"]
    body --> queue["queue for pixels: 503 after wait_seconds"] --> thread
```
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
        self._requests = 0
        self._bytes = 0
        self._pixels = Budget(limits.max_total_pixels)
        self._threads = ThreadPoolExecutor(cores(), thread_name_prefix="answer")

    @contextmanager
    def place(self, request: Request) -> Iterator[Request]:
        """Count `request`, and the bytes that are read from it, until the block ends.

        Raises `Refused` (503) when there is no place, and while reading when all bodies together
        exceed `max_total_bytes`.
        """
        if self._requests >= self.limits.max_requests:
            raise _overloaded(f"{self._requests} requests are under way")
        held = 0

        async def receive() -> Message:
            nonlocal held
            message = await request.receive()
            size = len(message.get("body", b""))
            if self._bytes + size > self.limits.max_total_bytes:
                raise _overloaded(f"{self._bytes} bytes of requests are under way")
            self._bytes += size
            held += size
            return message

        self._requests += 1
        try:
            yield Request(request.scope, receive)
        finally:
            self._requests -= 1
            self._bytes -= held

    async def compute(self, pixels: int, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work(*arguments)` in a thread once its `pixels` fit. Raises `Refused` (503)."""
        try:
            await self._pixels.take(pixels, self.limits.wait_seconds)
        except TimeoutError:
            raise _overloaded(
                f"{pixels} pixels had no room beside those under way for "
                f"{self.limits.wait_seconds} s"
            ) from None
        loop = asyncio.get_running_loop()
        running = self._threads.submit(work, *arguments)
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._pixels.give, pixels))
        return await asyncio.wrap_future(running)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Run `work(*arguments)` in a thread; for work that decodes no image."""
        return await asyncio.wrap_future(self._threads.submit(work, *arguments))


def _overloaded(why: str) -> Refused:
    return Refused(503, "overloaded", f"{why}: try again in {RETRY_SECONDS} s", RETRY_SECONDS)

"""What a task that receives waits for.

A future of asyncio's goes through the event loop once more before its task runs: each message then costs two rounds of the loop.
This one lets the task go on at once where that is possible: an echo of one message at a time then takes four fifths of the
processor's time. It speaks the protocol by which asyncio's tasks wait for futures of any make (`_asyncio_future_blocking`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextvars import Context
from typing import Any, Callable, Optional

__all__ = ["Waiter"]


class Waiter:
    """To be awaited by one task at a time, again and again."""

    __slots__ = ("_loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.waiting: Optional[Wait] = None  # of the task that waits

    def __await__(self) -> Generator[Any, None, None]:
        self.waiting = wait = Wait(self, self._loop)
        return iter((wait,))  # type: ignore[return-value] # half the time of a generator

    def wake(self) -> None:
        """Lets the task that waits, if any, go on with the next round of the loop."""
        wait, self.waiting = self.waiting, None
        if wait is not None and wait.callback is not None:
            self._loop.call_soon(wait.callback, wait, context=wait.context)

    def wake_at_once(self) -> None:
        """Lets it go on before this returns, unless another task runs: for callbacks of the event loop."""
        wait = self.waiting
        if wait is None or wait.callback is None or wait.context is None or current_task(self._loop) is not None:
            self.wake()
        else:
            self.waiting = None
            wait.context.run(wait.callback, wait)


class Wait:
    """What a task takes for a future. One for each time, since its task may ask for it after another has begun to wait.

    There is no get_loop(): without it `_loop` is looked at, which is no call.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancel_message", "_cancelled", "_loop", "_waiter", "callback", "context")

    callback: Optional[Callable[[Any], object]]
    context: Optional[Context]

    def __init__(self, waiter: Waiter, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = True
        self._cancelled = False
        self._cancel_message: Optional[Any] = None
        self._loop = loop
        self._waiter = waiter
        self.callback = self.context = None

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Optional[Context] = None) -> None:
        self.callback, self.context = callback, context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        self.callback = None
        return 1

    def cancel(self, msg: Optional[Any] = None) -> bool:
        if self._waiter.waiting is not self:
            return False
        self._cancelled = True
        self._cancel_message = msg
        self._waiter.wake()
        return True

    def done(self) -> bool:
        return self._waiter.waiting is not self

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self) -> None:
        if self._cancelled:
            # anyio knows its own cancellations by their message.
            raise asyncio.CancelledError() if self._cancel_message is None else asyncio.CancelledError(self._cancel_message)

    def exception(self) -> None:
        self.result()


current_task = asyncio.current_task

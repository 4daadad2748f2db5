"""`asyncio.timeout()` where Python has it, which is from 3.11 on, and the same for those before."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Optional

__all__ = ["timeout"]


class Timeout:
    """Cancels the task in its block when the time is over, and makes that an asyncio.TimeoutError."""

    def __init__(self, delay: Optional[float]) -> None:
        self._delay = delay
        self._timer: Optional[asyncio.TimerHandle] = None
        self._expired = False

    async def __aenter__(self) -> Timeout:
        if self._delay is not None:
            task = asyncio.current_task()
            assert task is not None
            self._timer = asyncio.get_running_loop().call_later(self._delay, self._expire, task)
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._expired and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise asyncio.TimeoutError from error

    def _expire(self, task: asyncio.Task[object]) -> None:
        self._expired = True
        task.cancel()


if TYPE_CHECKING or sys.version_info < (3, 11):
    timeout = Timeout
else:
    timeout = asyncio.timeout

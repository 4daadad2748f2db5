"""Checks the connections that no thread waits for: one thread for the whole process, which ends when there are none.

Twice a second it lets each of them read, without waiting, so that Pings are answered, keepalive works and a Close is noticed. It
knows nothing of what they read.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["forget", "keep"]

INTERVAL = 0.5  # seconds

lock = threading.Lock()
kept: weakref.WeakSet[Connection] = weakref.WeakSet()
wake = threading.Event()
thread: Optional[threading.Thread] = None
ended = False


def keep(connection: Connection) -> None:
    """Looks after this one, until it is forgotten, or gone."""
    global thread
    with lock:
        kept.add(connection)
        if not ended and (thread is None or not thread.is_alive()):
            thread = threading.Thread(target=run, name="wsabi-keeper", daemon=True)
            thread.start()


def forget(connection: Connection) -> None:
    """Does not any more."""
    with lock:
        kept.discard(connection)


def run() -> None:
    global thread
    while True:
        wake.wait(INTERVAL)
        with lock:
            if ended or not kept:
                thread = None
                return
            connections = list(kept)
        for connection in connections:
            try:
                connection._look_after()
            except Exception:
                connection.logger.error("a connection cannot be looked after", exc_info=True)
        del connections
        connection = None  # type: ignore[assignment]  # it may be the last reference


def stop() -> None:
    """At the end of the program, so that no thread is in a call when the interpreter goes."""
    global ended
    ended = True
    wake.set()
    running = thread
    if running is not None and running.is_alive():
        running.join(5)


def after_fork() -> None:
    """In the child there is no such thread, and whoever had the lock is gone."""
    global lock, wake, thread, kept
    lock, wake, thread, kept = threading.Lock(), threading.Event(), None, weakref.WeakSet()


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)

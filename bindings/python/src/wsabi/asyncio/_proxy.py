"""Proxies: which one there is, and a connection through it."""

from __future__ import annotations

import urllib.request
from typing import Any, Callable, Optional

__all__ = ["connect", "of_the_system"]


def of_the_system(secure: bool, host: str, port: int) -> Optional[str]:
    """The URL of the proxy that the environment or the system names for this server; None: none."""
    if urllib.request.proxy_bypass(f"{host}:{port}"):
        return None
    proxies = urllib.request.getproxies()
    for scheme in ("wss", "socks", "https") if secure else ("ws", "socks", "https", "http"):
        proxy = proxies.get(scheme)
        if proxy is not None:
            # Systems that keep the proxy for SOCKS apart give it as http.
            return proxy.replace("http://", "socks5h://", 1) if scheme == "socks" else proxy
    return None


async def connect(
    proxy: str, host: str, port: int, factory: Callable[[], Any], kwargs: dict[str, Any], user_agent: Optional[str]
) -> Any:
    raise NotImplementedError

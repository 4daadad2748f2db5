"""What a logger may be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Union

__all__ = ["LoggerLike"]

if TYPE_CHECKING:
    LoggerLike = Union[logging.Logger, logging.LoggerAdapter[Any]]
else:
    LoggerLike = Union[logging.Logger, logging.LoggerAdapter]

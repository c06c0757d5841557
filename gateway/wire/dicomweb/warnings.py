"""The Warning header, in the words of the standard (PS3.18 8.3.4, RFC 7234 5.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_UNSUPPORTED: Final = "The {0} parameter is not supported. {1}"
EMPTY_VALUE: Final = _UNSUPPORTED.format("emptyvaluematching", "Empty Value Matching has not been performed.")
MULTIPLE_VALUE: Final = _UNSUPPORTED.format("multiplevaluematching", "Multiple Value Matching has not been performed.")


def not_matched(attributes: Iterable[str]) -> str:
    """That keys of a search were left out (8.3: what is not supported is ignored)."""
    return f"Not matched, because they are not kept for searches of this level: {', '.join(attributes)}"


def left_out(number: int, reason: str) -> str:
    """That a retrieval has not all instances."""
    return f"{number} instances are left out: {reason}"


def additional(remaining: int) -> str:
    """That there are results behind the page (8.3.4.4.1)."""
    return f"There are {remaining} additional results that can be requested"


def warning(base: str, text: str) -> str:
    """The value of a Warning header of the service at the base URI."""
    return f"299 {base}: {text}"

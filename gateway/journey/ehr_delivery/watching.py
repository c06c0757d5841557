"""Whether an EHR answers, as the breaker counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.fhir.answer import Contested
from gateway.work.breaker import Breaker

NO_ANSWER: Final = (None, 408, 429, 502, 503, 504)
"""Statuses that do not come from the EHR's own judgement of a write; None: no answer at all."""


@contextmanager
def watched(breaker: Breaker) -> Iterator[None]:
    """Tell `breaker` whether the EHR answered; one that decides against a write has."""
    try:
        yield
    except (Contested, NeedsPerson):
        breaker.answered()
        raise
    except Unavailable as error:
        if error.details.get("status") in NO_ANSWER:
            breaker.failed(error.retry_after)
        raise
    breaker.answered()

"""The objects of a JSON array that is still arriving, each as soon as it is whole: memory is needed for one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.errors import Malformed

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MAY_END: Final = re.compile(rb"\}(?=\s*(?:,\s*\{|\]))")
"""The end of an object of an array, unless within a string."""
_BETWEEN: Final = re.compile(rb"[\s,]*")


class JsonArray:
    """`feed` it the pieces of a body; each gives the objects that end in it, `end` one that stands without an array.
    `most`: bytes of an object."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = b""
        self._begins = 0
        """Where in `_held` an object has begun, or may begin."""
        self._counted = 0
        """Up to where its brackets were counted."""
        self._searched = 0
        """Up to where its end was searched for."""
        self._depth = 0
        self._is_open = False
        self._is_closed = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Raises `Malformed` for what is no array of objects, and for an object that is too long."""
        begins = self._begins
        self._held = self._held[begins:] + piece
        self._begins, self._counted, self._searched = 0, self._counted - begins, self._searched - begins
        while (one := self._next()) is not None:
            yield one
        if len(self._held) - self._begins > self._most:
            raise Malformed(f"an object of more than {self._most} bytes", place="body")

    def end(self) -> Iterator[bytes]:
        """The body has ended. Raises `Malformed` where the array has not."""
        rest = self._held[self._begins :].strip()
        if self._is_open != self._is_closed or (self._is_open and rest):
            raise Malformed("the array ends amid an object or without its bracket", place="body")
        if rest:
            yield rest

    def _next(self) -> bytes | None:
        if self._counted == self._begins and not self._begun():
            return None
        for end in _MAY_END.finditer(self._held, self._searched):
            self._searched = end.end()
            counted = _STRING.sub(b"", self._held[self._counted : end.end()])
            if b'"' in counted:
                continue
            self._depth += counted.count(b"{") - counted.count(b"}")
            self._counted = end.end()
            if not self._depth:
                one = self._held[self._begins : end.end()]
                self._begins = end.end()
                return one
        # What may follow an end is still to come; blanks between may be many.
        self._searched = max(self._searched, self._held.rfind(b"}"))
        return None

    def _begun(self) -> bool:
        """Whether an object begins; what stands before that object is left behind."""
        while True:
            between = _BETWEEN.match(self._held, self._begins)
            assert between is not None
            at = self._begins = self._counted = self._searched = between.end()
            first = self._held[at : at + 1]
            if first == b"[" and not self._is_open:
                self._is_open = True
            elif first == b"]" and self._is_open and not self._is_closed:
                self._is_closed = True
            elif first == b"{" and not self._is_closed:
                return True
            elif not first:
                return False
            else:
                raise Malformed("no array of objects", place="body")
            self._begins += 1

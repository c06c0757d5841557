"""How often a secret may be guessed: a few times at once, then one more after each pause.

There are three allowances: of one account from one address, of one account, of one address. Whoever guesses from one
address does not shut out the user, who comes from another; whoever tries a password at many accounts is stopped too.
Whoever guesses from many addresses does not shut out the user where the user has logged in before.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from gateway.clock import Clock


@dataclass(frozen=True, slots=True)
class Allowance:
    tries: int
    """At once."""
    seconds: float
    """Until one more."""


ACCOUNT_AT_ADDRESS: Final = Allowance(5, 30.0)
ACCOUNT: Final = Allowance(20, 15.0)
ADDRESS: Final = Allowance(20, 3.0)
TOKENS_AT_ADDRESS: Final = Allowance(20, 1.0)
_NOTED: Final = Allowance(1, 60.0)
MOST_KEPT: Final = 20_000
"""Accounts and addresses; the one that was tried longest ago is forgotten."""
_Key = tuple[Allowance, str]


class Throttle:
    """`elapsed`: microseconds by a clock that nobody sets."""

    def __init__(self, elapsed: Clock) -> None:
        self._elapsed = elapsed
        self._used: OrderedDict[_Key, tuple[float, float]] = OrderedDict()
        """How many tries are used up, at which second."""
        self._at_home: OrderedDict[str, None] = OrderedDict()
        """Accounts at addresses from which the password was right."""

    def take(self, account: str, address: str) -> float:
        """Use up one try of a password; how many seconds too early it comes, in which case none is used up."""
        place = _place(account, address)
        keys = [(ACCOUNT_AT_ADDRESS, place), (ADDRESS, _network(address))]
        return self._take(keys if place in self._at_home else [*keys, (ACCOUNT, account)])

    def give_back(self, account: str, address: str) -> None:
        """The password was right. Of the address one try comes back: else a user could guess the others' for ever."""
        place, now = _place(account, address), self._elapsed() / 1e6
        self._used.pop((ACCOUNT_AT_ADDRESS, place), None)
        self._used.pop((ACCOUNT, account), None)
        of_address = (ADDRESS, _network(address))
        self._note(of_address, max(0.0, self._level(of_address, now) - 1), now)
        self._at_home[place] = None
        self._at_home.move_to_end(place)
        _shorten(self._at_home)

    def take_token(self, address: str) -> float:
        """The same for a token, which names no account."""
        return self._take([(TOKENS_AT_ADDRESS, _network(address))])

    def wait_for_token(self, address: str) -> float:
        """How many seconds too early a token would come; none is used up."""
        return self._missing((TOKENS_AT_ADDRESS, _network(address)), self._elapsed() / 1e6)

    def is_first_of(self, what: str, address: str) -> bool:
        """Whether this did not come from there within the last minute: what repeats is written down once."""
        key = (_NOTED, f"{what}\0{_network(address)}")
        is_first = not self._level(key, self._elapsed() / 1e6)
        self._note(key, 1.0, self._elapsed() / 1e6)
        return is_first

    def _take(self, keys: list[_Key]) -> float:
        now = self._elapsed() / 1e6
        if wait := max(self._missing(key, now) for key in keys):
            return wait
        for key in keys:
            self._note(key, self._level(key, now) + 1, now)
        return 0.0

    def _note(self, key: _Key, level: float, now: float) -> None:
        self._used[key] = level, now
        self._used.move_to_end(key)
        _shorten(self._used)

    def _missing(self, key: _Key, now: float) -> float:
        allowance = key[0]
        excess = self._level(key, now) + 1 - allowance.tries
        return float(math.ceil(excess * allowance.seconds)) if excess > 0 else 0.0

    def _level(self, key: _Key, now: float) -> float:
        level, at = self._used.get(key, (0.0, now))
        return max(0.0, level - (now - at) / key[0].seconds)


def _shorten(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def _place(account: str, address: str) -> str:
    return f"{account}\0{_network(address)}"


def _network(address: str) -> str:
    """An IPv6 site has 2^64 addresses: it counts as one."""
    try:
        written = ipaddress.ip_address(address)
    except ValueError:
        return address
    if written.version == 4:
        return address
    if written.ipv4_mapped is not None:
        return str(written.ipv4_mapped)
    return str(ipaddress.ip_network(f"{written}/64", strict=False))

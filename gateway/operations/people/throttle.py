"""How often a secret may be guessed: a few times at once, then one more after each pause.

There are three allowances: of one account from one address, of one account, of one address. Whoever guesses from one
address does not shut out the user, who comes from another; whoever tries a password at many accounts is stopped too.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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

    def take(self, account: str, address: str) -> float:
        """Use up one try of a password; how many seconds too early it comes, in which case none is used up."""
        return self._take(list(_of_account(account, address)))

    def give_back(self, account: str, address: str) -> None:
        """The password was right."""
        for key in _of_account(account, address):
            self._used.pop(key, None)

    def take_token(self, address: str) -> float:
        """The same for a token, which names no account."""
        return self._take([(TOKENS_AT_ADDRESS, _network(address))])

    def wait_for_token(self, address: str) -> float:
        """How many seconds too early a token would come; none is used up."""
        return self._missing((TOKENS_AT_ADDRESS, _network(address)), self._elapsed() / 1e6)

    def is_first_of(self, what: str) -> bool:
        """Whether this did not come within the last minute: what repeats is written down once."""
        key = (_NOTED, what)
        is_first = not self._level(key, self._elapsed() / 1e6)
        self._used[key] = 1.0, self._elapsed() / 1e6
        return is_first

    def _take(self, keys: list[_Key]) -> float:
        now = self._elapsed() / 1e6
        if wait := max(self._missing(key, now) for key in keys):
            return wait
        for key in keys:
            self._used[key] = self._level(key, now) + 1, now
            self._used.move_to_end(key)
        while len(self._used) > MOST_KEPT:
            self._used.popitem(last=False)
        return 0.0

    def _missing(self, key: _Key, now: float) -> float:
        allowance = key[0]
        excess = self._level(key, now) + 1 - allowance.tries
        return float(math.ceil(excess * allowance.seconds)) if excess > 0 else 0.0

    def _level(self, key: _Key, now: float) -> float:
        level, at = self._used.get(key, (0.0, now))
        return max(0.0, level - (now - at) / key[0].seconds)


def _of_account(account: str, address: str) -> Iterator[_Key]:
    yield ACCOUNT_AT_ADDRESS, f"{account}\0{_network(address)}"
    yield ACCOUNT, account
    yield ADDRESS, _network(address)


def _network(address: str) -> str:
    """An IPv6 site has 2^64 addresses: it counts as one."""
    try:
        written = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{written}/64", strict=False)) if written.version == 6 else address

"""A RIS that listens for statuses and other messages over MLLP, polite or as a script of manners says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from gateway.clock import dtm_of, now
from gateway.simulators.ris_manners_file import RisMood, RisRule, RisScript
from gateway.wire.hl7.acknowledgement import Problem, acknowledge
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.mllp_incoming import MllpLimits
from gateway.wire.hl7.mllp_server import ListenerAccess, MllpServer
from gateway.wire.hl7.parsing import parse

_LIMITS: Final = MllpLimits(10 * 1024 * 1024, 3600.0, 60.0, 512)
_ERRORS: Final = frozenset({"AE", "AR", "CE", "CR"})


class RisListener:
    """Keeps what it is sent, in memory. A message under an MSH-10 that it has accepted is answered and kept no second
    time, as HL7 has it (2.5.1 ch. 2.9.2)."""

    def __init__(
        self,
        port: int = 0,
        *,
        script: RisScript | None = None,
        tls: ssl.SSLContext | None = None,
        on_message: Callable[[Message, str], None] = lambda message, code: None,
    ) -> None:
        """`on_message`: a message and how it is answered (MSA-1, or the rule that keeps an answer back)."""
        self.received: list[Message] = []
        """All messages as they came, repeated ones too."""
        self.accepted: dict[str, Message] = {}
        """By MSH-10, each once, in the order in which they were first accepted."""
        self._mood = RisMood(script or RisScript())
        self._wanted_port = port
        self._on_message = on_message
        self._numbers = 0
        self._access = ListenerAccess(tls=tls)
        self._server = MllpServer(self._receive, _LIMITS, access=self._access)

    @property
    def port(self) -> int:
        """The port on which it listens, or has listened."""
        return self._wanted_port

    @property
    def connections(self) -> int:
        return self._server.connections

    def behave(self, script: RisScript) -> None:
        """Other manners from now on."""
        self._mood = RisMood(script)

    async def __aenter__(self) -> Self:
        self._server = MllpServer(self._receive, _LIMITS, access=self._access)
        await self._server.start("127.0.0.1", self._wanted_port)
        # The same port when it listens again.
        self._wanted_port = self._server.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(0.0)

    async def _receive(self, raw: bytes, _peer: MllpPeer) -> Sequence[bytes] | None:
        message = parse(raw)
        self.received.append(message)
        rule = self._mood.rule(f"{message.type}^{message.trigger}")
        if rule is not None and rule.do == "slow" and rule.seconds is not None:
            await asyncio.sleep(rule.seconds)
        code = rule.code if rule is not None and rule.do == "answer" else "AA"
        if code in ("AA", "CA") and (rule is None or rule.do != "close_before"):
            self.accepted.setdefault(message.control_id, message)
        silent = rule is not None and rule.do in ("silent", "close_before", "close_after")
        self._on_message(message, rule.do if rule is not None and silent else code)
        if rule is not None and silent:
            return () if rule.do == "silent" else None
        return self._blocks(message, code, rule)

    def _blocks(self, message: Message, code: str, rule: RisRule | None) -> list[bytes]:
        if rule is not None and rule.do == "other":
            message = parse(message.raw.replace(message.control_id.encode(), b"SOMETHINGELSE"))
        codes = [code, *([rule.then] if rule is not None and rule.then else [])]
        return [self._block(message, one, rule.text if rule is not None else "") for one in codes]

    def _block(self, message: Message, code: str, text: str) -> bytes:
        self._numbers += 1
        problems = [Problem(207, text or "refused by the script")] if code in _ERRORS else []
        return acknowledge(message, code, problems, control_id=f"RIS{self._numbers}", now=dtm_of(now()))

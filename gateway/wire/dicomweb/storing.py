"""Store transaction of DICOMweb (STOW-RS, PS3.18 10.5) as user agent: one instance a request, streamed from its file.

The part has the Content-Type `application/dicom` and no parameter: the file states its transfer syntax itself, and
Orthanc's plugin answers 200 to a part with a parameter and stores nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import Final, Self

import aiohttp

from gateway.errors import GatewayError, NeedsPerson, Unavailable
from gateway.wire.dicomweb.media_types import DICOM, JSON, XML
from gateway.wire.dicomweb.store_answer import StoreAnswer, answer_of
from gateway.wire.http import Connect, no_answer, read
from gateway.wire.oauth.authorization import Anonymous, Authorization, with_login
from gateway.wire.part10_file import Part10File, pieces_of

MAX_ANSWER_BYTES: Final = 1024 * 1024
_ACCEPT: Final = f"{JSON}, {XML};q=0.5"


class StowClient:
    """One origin server. `async with`; safe for many instances at once, of which `connections` are under way.

    `timeout_seconds`: for connecting, for the server to take a piece of a body, and for the answer to a whole body.
    """

    def __init__(
        self,
        base: str,
        *,
        timeout_seconds: float,
        authorization: Authorization | None = None,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        connections: int = 4,
    ) -> None:
        self.place = f"{base.rstrip('/')}/studies"
        self._seconds = timeout_seconds
        self._authorization = authorization or Anonymous()
        self._connect = Connect(timeout_seconds, ssl, proxy)
        self._turns = asyncio.Semaphore(connections)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = self._connect.session(aiohttp.ClientTimeout(total=None, connect=self._seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def options(self) -> int:
        """The HTTP status of an OPTIONS request with our login, which stores nothing. Raises as `store`."""
        assert self._session is not None, "StowClient is used outside of 'async with'"
        shown = await self._authorization.headers()
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session.options(self.place, headers=shown, allow_redirects=False) as response,
            ):
                return response.status
        except TimeoutError as error:
            raise Unavailable(f"no answer ({type(error).__name__})", place=self.place) from error
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer(error, self.place) from error

    async def store(self, file: Part10File) -> StoreAnswer:
        """Send a file as it is; returns whatever the server answers.

        Raises `Unavailable` when there is no answer, `NeedsPerson` where a proxy or the token endpoint refuses us, and
        what `pieces_of` raises.
        """
        async with self._turns:
            once = partial(self._once, file)
            return await with_login(self._authorization, once, lambda answer: answer.http_status == 401)

    async def _once(self, file: Part10File, shown: Mapping[str, str]) -> StoreAnswer:
        assert self._session is not None, "StowClient is used outside of 'async with'"
        body = _Body(file, self._seconds)
        # The length is known, so not in chunks of HTTP: Orthanc 1.10 takes 300 MiB in 23 s so, with a length in 5.5 s.
        length = await body.length()
        headers = {"Content-Type": body.content_type, "Content-Length": str(length), "Accept": _ACCEPT, **shown}
        try:
            async with asyncio.timeout(self._seconds) as body.limit:
                # A redirect would carry the token and the patient's data to another origin.
                async with self._session.post(
                    self.place, data=body.pieces(), headers=headers, allow_redirects=False
                ) as response:
                    return await answer_of(response, await read(response, MAX_ANSWER_BYTES), file.sop_instance_uid)
        except TimeoutError as error:
            raise Unavailable(f"no answer ({type(error).__name__})", place=self.place) from error
        except (aiohttp.ClientError, OSError) as error:
            raise body.fault or no_answer(error, self.place) from error


class _Body:
    """A file as the only part of a `multipart/related` body (PS3.18 8.6.1.2), in pieces."""

    def __init__(self, file: Part10File, seconds: float) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f'multipart/related; type="{DICOM}"; boundary={boundary}'
        self.limit: asyncio.Timeout | None = None
        """Runs anew with each piece that the server takes."""
        self.fault: GatewayError | None = None
        """Why the file cannot be read, which aiohttp tells as a lost connection."""
        self._seconds = seconds
        self._file = file
        self._head = f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode("ascii")
        self._tail = f"\r\n--{boundary}--\r\n".encode("ascii")

    async def length(self) -> int:
        """In bytes. Raises `NeedsPerson` for a file that is not there."""
        try:
            size = (await asyncio.to_thread(self._file.path.stat)).st_size
        except OSError as error:
            raise NeedsPerson(f"cannot be read ({error.strerror})", place=str(self._file.path)) from error
        return len(self._head) + size + len(self._tail)

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._head
        try:
            async for piece in pieces_of(self._file.path, whole=True):
                yield piece
                if self.limit is not None and not self.limit.expired():
                    self.limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
        except GatewayError as error:
            self.fault = error
            raise
        yield self._tail

"""An EHR that takes everything at once: it announces conditional updates, and prints how long N of them took."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STATEMENT = (
    b'{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server","resource":[{"type":'
    b'"ImagingStudy","conditionalUpdate":true,"interaction":[{"code":"update"},{"code":"search-type"}]}]}]}'
)


async def main(wanted: int) -> None:
    ids = itertools.count(1)
    begun = 0.0
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
                if not head.startswith(b"PUT"):
                    writer.write(_answer(b"200 OK", _STATEMENT))
                    continue
                begun = begun or time.perf_counter()
                number = next(ids)
                place = b'Location: /fhir/ImagingStudy/%d/_history/1\r\nETag: W/"1"\r\n' % number
                writer.write(_answer(b"201 Created", b"", place))
                if number == wanted:
                    print(f"{number} in {time.perf_counter() - begun:.4f} s", flush=True)
                    over.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    await asyncio.Event().wait()  # until it is ended: the gateway still writes outcomes


def _answer(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    kind = b"Content-Type: application/fhir+json\r\n" if body else b""
    return b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, kind, headers, len(body), body)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

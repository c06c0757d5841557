"""The sink in a process of its own: prints its port, then how long N PUTs took. `python -m bench.fast_ehr N`."""

from __future__ import annotations

import asyncio
import sys

from bench.sink import Sink


async def main(wanted: int) -> None:
    async with Sink() as sink:
        print(sink.url.split(":")[-1].removesuffix("/fhir"), flush=True)
        await sink.arrived.wait()
        begun = sink.arrived_at
        while sink.puts < wanted:
            sink.arrived.clear()
            await sink.arrived.wait()
        print(f"{sink.puts} in {sink.arrived_at - begun:.4f} s", flush=True)
        await asyncio.Event().wait()  # until it is ended: the gateway still writes outcomes


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

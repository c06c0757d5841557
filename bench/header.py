"""The cost of cutting out the header of a data set, beside pydicom reading the same bytes: `python -m bench.header`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from io import BytesIO

import pydicom
from pydicom.data import get_testdata_file
from pydicom.filereader import read_dataset

from gateway.wire.dimse.header import split_header

ROUNDS = 7
REPEATS = 200


def microseconds(work: Callable[[], object]) -> float:
    """Median over the rounds of the time of one call."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(REPEATS):
            work()
        rounds.append((time.perf_counter() - started) / REPEATS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print one line for each file."""
    for name in ("CT_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm"):
        file = str(get_testdata_file(name))
        syntax = str(pydicom.dcmread(file).file_meta.TransferSyntaxUID)
        with open(file, "rb") as handle:  # noqa: PTH123
            pydicom.filereader.read_preamble(handle, force=False)
            pydicom.filereader._read_file_meta_info(handle)
            encoded = handle.read()
        implicit = syntax == "1.2.840.10008.1.2"
        header = split_header(encoded, syntax)
        cut = microseconds(lambda encoded=encoded, syntax=syntax: split_header(encoded, syntax))  # type: ignore[misc]
        read = microseconds(
            lambda encoded=encoded, implicit=implicit: list(  # type: ignore[misc]
                read_dataset(BytesIO(encoded), implicit, True, stop_when=lambda tag, vr, length: tag == 0x7FE00010)
            )
        )
        print(f"{name}: {len(header)} of {len(encoded)} bytes; cut out {cut:.0f} us, pydicom's elements {read:.0f} us")


if __name__ == "__main__":
    main()

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from gateway.pixels import pool as pools
from gateway.pixels.compressing import compressed
from gateway.pixels.faults import BrokenPixels, CodecDied, NoPixels, TooManyPixels
from gateway.pixels.pool import Pool
from tests.pixels.samples import image, sample, saved


async def test_work_is_done_in_a_process_of_its_own_that_knows_no_settings_of_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE__URL", "postgresql://gateway:secret@database/gateway")
    async with Pool(1) as pool:
        assert (await pool.preview(sample("CT_small.dcm"))).startswith(b"\xff\xd8")
        await pool.decoded(sample("MR_small_RLE.dcm"), tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
        assert (tmp_path / "decoded.dcm").stat().st_mode & 0o777 == 0o600
        with pytest.raises(NoPixels, match="the instance has no pixels"):
            await pool.preview(sample("reportsi.dcm"))
        with pytest.raises(BrokenPixels) as caught:
            await pool.decoded(sample("MR_truncated.dcm"), tmp_path / "no.dcm", ExplicitVRLittleEndian)
        assert caught.value.place == "(7FE0,0010)"
        with pytest.raises(FileNotFoundError):
            await pool.preview(tmp_path / "nothing.dcm")
        [worker] = pool._all
        assert b"secret" not in Path(f"/proc/{worker._process.pid}/environ").read_bytes()


async def test_a_worker_that_dies_or_takes_too_long_is_an_error_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "endless.dcm")
    async with Pool(1) as pool:
        await pool.preview(sample("CT_small.dcm"))
        worker = pool._idle.get_nowait()
        worker._process.kill()
        pool._idle.put(worker)
        with pytest.raises(CodecDied, match="ended with code -9"):
            await pool.preview(sample("CT_small.dcm"))
        assert await pool.preview(sample("CT_small.dcm"))
        monkeypatch.setattr(pools, "PREVIEW_SECONDS", 0.1)
        with pytest.raises(CodecDied, match=r"longer than 0\.1 seconds"):
            await pool.preview(tmp_path / "endless.dcm")
        assert pool._idle.empty()


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A frame of 65,520 by 65,520 pixels, as stated."""
    compressed(saved(image(np.zeros((8, 8), np.uint8)), tmp_path / "source.dcm"), tmp_path / "rle.dcm", "rle")
    coded = (tmp_path / "rle.dcm").read_bytes()
    sides = [tag + b"US\x02\x00" for tag in (b"\x28\x00\x10\x00", b"\x28\x00\x11\x00")]
    for side in sides:
        assert side + b"\x08\x00" in coded
        coded = coded.replace(side + b"\x08\x00", side + b"\xf0\xff")
    (tmp_path / "huge.dcm").write_bytes(coded)
    return tmp_path / "huge.dcm"


async def test_what_memory_does_not_hold_is_refused(huge: Path, tmp_path: Path) -> None:
    """As a fault of the file: one of the disk would be tried again and again."""
    large = tmp_path / "large.dcm"
    large.write_bytes(sample("CT_small.dcm").read_bytes())
    os.truncate(large, pools.MOST_BYTES)  # sparse: it takes no room
    async with Pool(1) as pool:
        with pytest.raises(TooManyPixels):
            await pool.decoded(huge, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
        for work in (pool.preview(large), pool.decoded(large, tmp_path / "no.dcm", ExplicitVRLittleEndian)):
            with pytest.raises(TooManyPixels, match="is too large to be worked on"):
                await work


def test_without_the_codecs_the_error_names_the_extra() -> None:
    text = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from pathlib import Path\n"
        "from gateway.pixels.preview import preview\n"
        f"preview(Path({str(sample('CT_small.dcm'))!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "CodecMissing: the codecs of pixel data are not installed; install imaging-gateway[pixels]" in done.stderr

"""A modality that asks for its worklist and reports its examinations over DICOMweb (PS3.18 chapters 14 and 15)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import orjson
from pydicom.dataset import Dataset
from yarl import URL

from gateway.errors import Malformed, Rejected, Unavailable
from gateway.simulators import performed_steps
from gateway.wire.http import no_answer

_JSON: Final = {"Accept": "application/dicom+json"}
_TRANSIENT: Final = 500


@dataclass(frozen=True, slots=True)
class WebModality:
    """One AE title at one base URI, while its session is open. Every method raises `Unavailable` or `Rejected`."""

    session: aiohttp.ClientSession
    base: URL
    ae_title: str

    async def query(self, *, modality: str = "", date: str = "", accession_number: str = "") -> list[Dataset]:
        """The worklist items that match; an empty key matches everything."""
        step = "ScheduledProcedureStepSequence"
        keys = {
            f"{step}.Modality": modality,
            f"{step}.ScheduledProcedureStepStartDate": date,
            "AccessionNumber": accession_number,
        }
        parameters = {name: value for name, value in keys.items() if value}
        answer = await self._ask("GET", self.base / "modality-scheduled-procedure-steps" % parameters)
        try:
            return [Dataset.from_json(one) for one in orjson.loads(answer or b"[]")]
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise Malformed(f"the answer is no DICOM JSON ({type(error).__name__})", place=str(self.base)) from error

    async def begin(self, item: Dataset) -> str:
        """Begin the examination of a worklist item; returns the SOP Instance UID of the performed step."""
        uid = performed_steps.new_uid()
        await self._ask("POST", self._step(uid), performed_steps.begun(item, self.ae_title))
        return uid

    async def end(self, uid: str, study: Iterable[Dataset]) -> None:
        """Complete a performed step that has made the images of `study`."""
        await self._ask("POST", self._step(uid).with_query("update"), performed_steps.ended(study))

    def _step(self, uid: str) -> URL:
        return self.base / "modality-performed-procedure-steps" / uid

    async def _ask(self, method: str, url: URL, dataset: Dataset | None = None) -> bytes:
        headers, body = dict(_JSON), None
        if dataset is not None:
            headers["Content-Type"] = "application/dicom+json"
            body = orjson.dumps(dataset.to_json_dict())
        try:
            async with self.session.request(method, url, data=body, headers=headers) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise no_answer(error, str(self.base)) from error
        if answer.ok:
            return content
        kind = Unavailable if answer.status >= _TRANSIENT else Rejected
        text = content[:200].decode("utf-8", "replace")
        raise kind(f"{method} answered {answer.status}: {text}", place=str(self.base))


@asynccontextmanager
async def connected(url: str, *, ae_title: str = "MODALITY", timeout: float = 30.0) -> AsyncIterator[WebModality]:
    """A modality at a base URI. The user of the URL, else `ae_title`, is its AE title, the password of the URL its own.

    timeout: seconds for each request.
    """
    written = URL(url.rstrip("/"))
    title = written.user or ae_title
    login = base64.b64encode(f"{title}:{written.password or ''}".encode()).decode("ascii")
    limit = aiohttp.ClientTimeout(total=timeout)
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}, timeout=limit) as session:
        yield WebModality(session, written.with_user(None), title)

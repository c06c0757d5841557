"""How an EHR is reached, as the configuration says."""

from __future__ import annotations

from contextlib import AsyncExitStack

from gateway.assembly.http_receivers import authorization_of, tls_of
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.wire.fhir import FhirClient
from gateway.wire.oauth.authorization import Authorization


def client_of(ehr: Ehr, *, authorization: Authorization | None = None, most_seconds: float | None = None) -> FhirClient:
    """Raises `ConfigError` when a certificate, key or token file cannot be used."""
    return FhirClient(
        ehr.url,
        timeout_seconds=min(ehr.timeout_seconds, most_seconds or ehr.timeout_seconds),
        authorization=authorization or authorization_of(ehr),
        ssl=tls_of(ehr),
        proxy=ehr.proxy,
        connections=ehr.concurrency,
        per_second=ehr.max_requests_per_second,
        compress=ehr.gzip,
    )


async def clients_of(config: Config, stack: AsyncExitStack) -> dict[str, FhirClient]:
    """Name -> client of each EHR, open until `stack` ends. Raises `ConfigError`."""
    return {ehr.name: await stack.enter_async_context(client_of(ehr)) for ehr in config.ehrs}

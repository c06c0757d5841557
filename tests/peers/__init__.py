"""The systems the gateway is tested against: DCMTK, Orthanc, python-hl7, a FHIR R4 server, PostgreSQL.

All real, all on loopback, each started and ended by its fixture. `PLUGINS` is for `pytest_plugins`.
"""

PLUGINS = ("tests.peers.fhir_server", "tests.peers.fhir_validators", "tests.peers.orthanc", "tests.peers.postgres")

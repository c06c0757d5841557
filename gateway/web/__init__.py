"""The HTTP side: one server with its login, the JSON API, the operator's page and the read-only FHIR facade."""

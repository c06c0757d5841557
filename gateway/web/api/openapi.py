"""The OpenAPI 3.1 document of the route table."""

from __future__ import annotations

import inspect
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from gateway.operations.answers.answer import Answer, Failure
from gateway.web.routes import Route

REF: Final = "#/components/schemas/{model}"
EVERYONES: Final = (400,)
LOGIN: Final = (401, 403, 429, 503)


@lru_cache(maxsize=4)
def document(routes: tuple[Route, ...], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document that describes `routes`; `version` is that of the gateway."""
    models: set[type[Answer]] = {route.answer for route in routes if isinstance(route.answer, type)} | {Failure}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, "serialization") for model in ordered], ref_template=REF)
    schemas: dict[str, Any] = dict(schema["$defs"])
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        parameters, extra = _parameters(route)
        schemas.update(extra)
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, parameters)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Imaging gateway",
            "version": version,
            "description": "Orders, worklist, studies and deliveries of the gateway. A login is asked for beyond "
            "loopback, and where there are users or http.token. Times are ISO 8601 in UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic", "description": "Any user, the API token as password"},
            },
        },
        "security": [{"bearer": []}, {"basic": []}],
    }


def _parameters(route: Route) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    schema = route.parameters.model_json_schema(ref_template=REF)
    required = schema.get("required", ())
    parameters = []
    for name, parameter_schema in schema.get("properties", {}).items():
        in_path = f"{{{name}}}" in route.path
        parameter = {"name": name, "in": "path" if in_path else "query", "required": in_path or name in required}
        description = parameter_schema.pop("description", None)
        parameter_schema.pop("title", None)
        parameters.append(
            {**parameter, **({"description": description} if description else {}), "schema": parameter_schema}
        )
    return parameters, schema.get("$defs", {})


def _body(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """A form, of parameters that hold secrets."""
    properties = {
        one["name"]: {**one["schema"], **({"description": one["description"]} if "description" in one else {})}
        for one in parameters
    }
    required = [one["name"] for one in parameters if one["required"]]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


def _operation(route: Route, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    text = inspect.getdoc(route.handler) or ""
    summary, _, description = text.partition("\n\n")
    if isinstance(route.answer, str):
        content: dict[str, Any] = {route.answer: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": _ref(route.answer)}}
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": " ".join(summary.split()),
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if not route.open:
        description = f"{description}\n\nRole: {route.role_needed}.".strip()
    if description:
        operation["description"] = description
    if parameters and route.in_body:
        operation["requestBody"] = _body(parameters)
    elif parameters:
        operation["parameters"] = parameters
    if route.open:
        operation["security"] = []
    for status in sorted({*route.errors, *EVERYONES, *(() if route.open else LOGIN)}):
        failure = {"application/json": {"schema": _ref(Failure)}}
        operation["responses"][str(status)] = {"description": HTTPStatus(status).phrase, "content": failure}
    for status in route.also:
        operation["responses"][str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
    return operation


def _ref(model: type[Answer]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}

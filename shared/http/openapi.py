"""What the services' OpenAPI documents say of refusals: by status, which problems, and the one shape of them all."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from shared.http.catalogue import PROBLEMS

COMPONENTS = "#/components/schemas/"
PROBLEM_TYPE = "application/problem+json"
# What the HTTP server answers before any address is looked at, and what must not happen.
_ANYWHERE = ("malformed-request", "target-too-long", "head-too-large", "too-slow", "too-many-connections", "internal")


class FaultPlace(BaseModel):
    """One thing to mend."""

    pointer: Annotated[
        str, Field(description="JSON pointer into the document that was sent; in a batch, into the event")
    ]
    code: str
    detail: str


class ProblemDocument(BaseModel):
    """Why a request or an event was refused (RFC 9457). `type` leads to a page that says what to do."""

    type: str
    title: str
    title_zh: str
    status: int
    detail: str
    errors: list[FaultPlace] | None = None
    trace_id: str | None = None


def problem_responses(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an address, and those that any address can have."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in (*slugs, *_ANYWHERE):
        problem = PROBLEMS[slug]
        entry = found.setdefault(problem.status, {"description": ""})
        entry["description"] = "; ".join(filter(None, [entry["description"], f"{slug}: {problem.meaning}"]))
        entry["content"] = {PROBLEM_TYPE: {"schema": {"$ref": f"{COMPONENTS}ProblemDocument"}}}
        if problem.status in (429, 503):
            entry["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return found


def complete_problems(document: dict[str, Any]) -> None:
    """Put the problem document among the components, and remove the 422 that FastAPI makes up for parameters."""
    problem = ProblemDocument.model_json_schema(ref_template=COMPONENTS + "{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= problem.pop("$defs")
    schemas["ProblemDocument"] = problem
    for address in document["paths"].values():
        for operation in address.values():
            operation["responses"].get("422", {}).get("content", {}).pop("application/json", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)

"""Refusals of the token endpoint: RFC 6749 §5.2 and our problem documents in one."""

from typing import Any

from pydantic import Field

from sharezync_auth.errors import GrantRefused, InvalidGrant
from sharezync_shared.problems import ProblemDocument, document, problems


class GrantError(ProblemDocument):
    """An error of the token endpoint: RFC 6749 §5.2 with the members of RFC 9457."""

    error: str = Field(examples=[InvalidGrant.error], description="Error code of RFC 6749 §5.2")
    error_description: str = Field(
        examples=["Wrong username or password"], description="What went wrong, for people to read"
    )


def grant_error(problem: GrantRefused) -> dict[str, Any]:
    """Return the document of a refusal."""
    described = problem.detail or problem.title
    return {**document(problem), "error": problem.error, "error_description": described}


def grant_errors(*types: type[GrantRefused]) -> dict[int | str, dict[str, Any]]:
    """Declare refusals as `problems` does, in the media type that the RFC asks for."""
    declared = problems(*types)
    for answer in declared.values():
        (content,) = answer["content"].values()
        for problem in types:
            if example := content["examples"].get(problem.slug):
                example["value"] = {**grant_error(problem()), **example["value"]}
        answer["model"] = GrantError
        answer["content"] = {"application/json": {"examples": content["examples"]}}
    return declared

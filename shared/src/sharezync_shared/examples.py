"""Examples of a body, as the API's pages show them."""

from pydantic import ConfigDict
from pydantic.config import JsonDict


def examples(*bodies: JsonDict) -> ConfigDict:
    """Return the configuration of a model whose schema has these examples."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})

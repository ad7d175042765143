"""What goes over the wire, by noun."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Read(BaseModel):
    """A document that is read from a row, or whatever else has attributes of its names."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


def _hexadecimal(value: bytes | str | None) -> str | None:
    return value.hex() if isinstance(value, bytes) else value


Digest = Annotated[str | None, BeforeValidator(_hexadecimal)]
"""A digest, hexadecimal; rows have it as bytes."""

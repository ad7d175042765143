"""The settings that READMEs name are those that services read, with the same defaults."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sharezync_auth.settings import AuthSettings
from sharezync_chat.settings import ChatSettings
from sharezync_gateway.settings import GatewaySettings
from sharezync_shared.settings import Settings
from sharezync_storage.settings import StorageSettings
from sharezync_transfer.settings import TransferSettings

SERVICES = Path(__file__).parents[1] / "services"
READ_BY: dict[str, type[Settings]] = {
    "auth": AuthSettings,
    "chat": ChatSettings,
    "gateway": GatewaySettings,
    "storage": StorageSettings,
    "transfer": TransferSettings,
}
UNITS = {" KiB": 2**10, " MiB": 2**20, " GiB": 2**30}


def section_of(service: str) -> str:
    text = (SERVICES / service / "README.md").read_text()
    return text.partition("\n## Settings\n")[2].partition("\n## ")[0]


def rows_of(service: str) -> Iterator[tuple[str, str]]:
    """Yield each variable of the table of settings, and its default as it stands there."""
    for line in section_of(service).splitlines():
        if line.startswith("| `"):
            names, default = (cell.strip() for cell in line.split("|")[1:3])
            variables = re.findall(r"`([A-Z0-9_]+)`", names)
            several = len(variables) > 1 and default
            defaults = default.split(", ") if several else [default] * len(variables)
            yield from zip(variables, [each.strip("`") for each in defaults], strict=True)


def value_of(text: str) -> Any:
    """Return what a default in a table says."""
    if text in {"true", "false"}:
        return text == "true"
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text) if re.fullmatch(r"[0-9.]+", text) else text


@pytest.mark.parametrize("service", READ_BY)
def test_every_variable_in_a_readme_is_read_and_has_that_default(service: str) -> None:
    fields = READ_BY[service].model_fields
    for variable, default in rows_of(service):
        field = fields.get(variable.lower())
        assert field is not None, f"{service} reads no {variable}"
        expected = field.get_default(call_default_factory=True)
        if expected not in (None, (), {}):  # then the table says what that comes to
            said = value_of(default)
            same = said == (str(expected) if isinstance(said, str) else expected)
            assert same, f"{variable} is {expected} and not {default}"


@pytest.mark.parametrize("service", READ_BY)
def test_every_variable_of_a_services_own_is_in_its_readme(service: str) -> None:
    own = READ_BY[service].model_fields.keys() - Settings.model_fields.keys()
    assert {name.upper() for name in own} <= {variable for variable, _ in rows_of(service)}


@pytest.mark.parametrize("service", READ_BY)
def test_what_is_said_of_the_port_is_true(service: str) -> None:
    port = READ_BY[service].model_fields["port"].default
    said = re.findall(r"`PORT`\D{0,6}(8\d{3})", section_of(service))
    assert said in ([], [str(port)])

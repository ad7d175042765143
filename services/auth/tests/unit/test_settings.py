import pytest

from sharezync_auth.settings import AuthSettings
from sharezync_shared.settings import read_settings

GOOD = "wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi"


@pytest.mark.parametrize("given", [GOOD, f"chat:{GOOD}", f"{GOOD}=chat", f"chat={GOOD},{GOOD}"])
def test_of_secrets_of_services_that_are_none_no_part_is_told(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", given)
    with pytest.raises(SystemExit, match=r"^SERVICE_SECRETS: ") as stopped:
        read_settings(AuthSettings)
    assert GOOD not in str(stopped.value)


def test_secrets_of_services_are_named_by_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", f" chat={GOOD} , storage={GOOD}=,")
    read = read_settings(AuthSettings)
    assert read.secret_of_service("chat") == GOOD
    assert read.secret_of_service("storage") == f"{GOOD}="

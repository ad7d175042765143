"""Random secrets for the overlay `dev`: `python deploy/k8s_secrets.py`, once.

Writes an env file for each process into `deploy/k8s/overlays/dev/secrets`, of which the overlay
makes Secrets whose names carry a hash: what changes there rolls the pods. What stands there stays.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "k8s" / "overlays" / "dev" / "secrets"
_WITH_DATABASE: Final = ("auth", "chat", "transfer", "storage")
_ALL: Final = (*_WITH_DATABASE, "gateway")
_RANDOM_BYTES: Final = 36


def values() -> dict[str, dict[str, str]]:
    """Return new values for each file: one secret for each purpose."""

    def made() -> str:
        return secrets.token_urlsafe(_RANDOM_BYTES)

    postgres = {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": made()}
    postgres["POSTGRES_DB"] = "sharezync"
    rabbitmq = {"RABBITMQ_PASSWORD": made()}
    s3 = {"AWS_ACCESS_KEY_ID": made(), "AWS_SECRET_ACCESS_KEY": made(), "S3_BUCKET": "sharezync"}
    own = {name: made() for name in _ALL if name != "auth"}
    files: dict[str, dict[str, str]] = {"postgres": postgres, "rabbitmq": rabbitmq, "s3": s3}
    for name in _ALL:
        rabbitmq[f"{name.upper()}_BROKER_PASSWORD"] = broker = made()
        files[name] = {"AMQP_URL": f"amqp://{name}:{broker}@rabbitmq:5672/"}
        if name in _WITH_DATABASE:
            for variable, login in (
                ("DATABASE_URL", name),
                ("MIGRATE_DATABASE_URL", f"{name}_owner"),
            ):
                postgres[f"{login.upper()}_DATABASE_PASSWORD"] = password = made()
                files[name][variable] = f"postgresql://{login}:{password}@postgres:5432/sharezync"
        if name in {"auth", "transfer", "storage"}:
            files[name]["SECRET_KEY"] = made()
        if name in own:
            files[name]["SERVICE_SECRET"] = own[name]
    files["auth"]["SERVICE_SECRETS"] = ",".join(f"{name}={value}" for name, value in own.items())
    files["storage"] |= {key: value for key, value in s3.items() if key != "S3_BUCKET"}
    return files


def write(folder: Path, files: Mapping[str, Mapping[str, str]]) -> None:
    """Write a file for each, for its owner alone. Raises FileExistsError where there are any."""
    folder.mkdir(mode=0o700)
    for name, variables in files.items():
        descriptor = os.open(folder / f"{name}.env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{variable}={value}\n" for variable, value in variables.items())


if __name__ == "__main__":
    try:
        write(FOLDER, values())
    except FileExistsError:
        sys.exit(f"{FOLDER} is there: remove it, and the volumes of its servers, for new secrets")

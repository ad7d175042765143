"""`python -m sharezync_auth serve|migrate|openapi`, and what operators need."""

import sys
from typing import Final

from sharezync_auth.app import create_app
from sharezync_auth.commands.create_user import CREATE_USER
from sharezync_auth.commands.end_all_sessions import END_ALL_SESSIONS
from sharezync_auth.commands.import_users import IMPORT_USERS
from sharezync_auth.commands.rotate_keys import ROTATE_KEYS
from sharezync_auth.commands.service_client import SERVICE_CLIENT
from sharezync_auth.migrations import MIGRATIONS
from sharezync_auth.settings import AuthSettings
from sharezync_shared.cli import CliCommand, ServiceCommand

COMMANDS: Final[dict[str, CliCommand[AuthSettings]]] = {
    "create-user": CREATE_USER,
    "end-all-sessions": END_ALL_SESSIONS,
    "import-users": IMPORT_USERS,
    "rotate-keys": ROTATE_KEYS,
    "service-client": SERVICE_CLIENT,
}

if __name__ == "__main__":
    sys.exit(ServiceCommand("auth", AuthSettings, create_app, MIGRATIONS, COMMANDS).main())

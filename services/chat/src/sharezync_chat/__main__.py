"""`python -m sharezync_chat serve|migrate|openapi|reindex-search`."""

import sys

from sharezync_chat.app import create_app
from sharezync_chat.commands import COMMANDS
from sharezync_chat.migrations import MIGRATIONS
from sharezync_chat.settings import ChatSettings
from sharezync_shared.cli import ServiceCommand

if __name__ == "__main__":
    sys.exit(ServiceCommand("chat", ChatSettings, create_app, MIGRATIONS, COMMANDS).main())

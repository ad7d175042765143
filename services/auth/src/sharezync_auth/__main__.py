"""`python -m sharezync_auth serve|migrate|openapi`."""

import sys

from sharezync_auth.app import create_app
from sharezync_auth.migrations import MIGRATIONS
from sharezync_auth.settings import AuthSettings
from sharezync_shared.cli import ServiceCommand

if __name__ == "__main__":
    sys.exit(ServiceCommand("auth", AuthSettings, create_app, MIGRATIONS).main())

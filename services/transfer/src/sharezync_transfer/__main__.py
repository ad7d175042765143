"""`python -m sharezync_transfer serve|migrate|openapi`."""

import sys

from sharezync_shared.cli import ServiceCommand
from sharezync_transfer.app import create_app
from sharezync_transfer.migrations import MIGRATIONS
from sharezync_transfer.settings import TransferSettings

if __name__ == "__main__":
    sys.exit(ServiceCommand("transfer", TransferSettings, create_app, MIGRATIONS).main())

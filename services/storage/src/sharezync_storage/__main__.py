"""`python -m sharezync_storage serve|migrate|openapi|collect|check-files`."""

import sys

from sharezync_shared.cli import ServiceCommand
from sharezync_storage.app import create_app
from sharezync_storage.commands import CHECK_FILES, COLLECT
from sharezync_storage.migrations import MIGRATIONS
from sharezync_storage.settings import StorageSettings

if __name__ == "__main__":
    sys.exit(
        ServiceCommand(
            "storage",
            StorageSettings,
            create_app,
            MIGRATIONS,
            {"collect": COLLECT, "check-files": CHECK_FILES},
        ).main()
    )

from sharezync_shared.db.migrating import run_env
from sharezync_transfer.models import metadata

run_env(metadata)

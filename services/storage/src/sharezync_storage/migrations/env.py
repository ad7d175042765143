from sharezync_shared.db.migrating import run_env
from sharezync_storage.models import metadata

run_env(metadata)

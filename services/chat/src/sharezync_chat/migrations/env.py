from sharezync_chat.models import metadata
from sharezync_shared.db.migrating import run_env

run_env(metadata)

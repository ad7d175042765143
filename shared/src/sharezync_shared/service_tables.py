"""The tables that every service has beside its own."""

from sqlalchemy import MetaData

from sharezync_shared.db.database import metadata_for
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import outbox_table
from sharezync_shared.streams.log import stream_tables


def service_metadata(schema: str) -> MetaData:
    """Return the `MetaData` of a service, with the tables of its streams, outbox and inbox."""
    metadata = metadata_for(schema)
    stream_tables(metadata)
    outbox_table(metadata)
    inbox_table(metadata)
    return metadata

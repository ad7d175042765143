"""Tables of services: those that all have beside their own, and indexes over some of the rows."""

from sqlalchemy import Index, MetaData, text

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


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index over the rows for which the condition `where` holds."""
    return Index(name, *columns, unique=unique, postgresql_where=text(where))

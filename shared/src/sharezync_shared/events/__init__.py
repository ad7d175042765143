"""Facts and frames between processes: the bus, its two adapters, and outbox and inbox beside it."""

"""The documentation of all services as one: documents fetched, merged, and shown as pages."""

"""PostgreSQL: one schema and one role for each service, and the unit of work upon it."""

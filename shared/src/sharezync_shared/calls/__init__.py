"""Calls to other services: when not to make one, when to repeat it, how long a connection lives."""

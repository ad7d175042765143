"""Processes of storage that are forked from one which has imported it.

To start Python and import the service takes a second or two; a test that kills it at each of twenty
steps would do little else.
"""

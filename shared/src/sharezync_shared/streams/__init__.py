"""Streams: what a client must not miss, in an order that all agree on.

The service that owns the data owns the stream. `seq` is gap-free in each stream and is assigned
under the row lock of the stream's head, in the transaction that makes the change; the finished
frame is kept in the log, so that any gateway can replay it byte for byte.
"""

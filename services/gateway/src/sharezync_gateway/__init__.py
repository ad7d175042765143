"""The gateway: the entry point for REST and WebSockets.

It owns the route table, the verification of tokens, the limits, the hygiene of headers and
paths, the sockets of clients and the merged documentation. It has no database; everything it
knows, it may forget.
"""

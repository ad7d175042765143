"""Transfers on WebSockets.

`socket_transfers` has what the socket engine is given. A `TransferSession` is all that one
connection has to do with transfers, a `SocketTransfer` what it has to do with one of them.
"""

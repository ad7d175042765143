"""The socket: pure parts (`cursors`, `frame_router`) and the shell around them (`socket`)."""

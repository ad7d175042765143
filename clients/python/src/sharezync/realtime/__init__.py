"""The socket: pure parts (`closing`, `cursors`, `frames`) and the shell around them (`socket`)."""

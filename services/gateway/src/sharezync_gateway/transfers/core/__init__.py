"""What sockets and HTTP have in common."""

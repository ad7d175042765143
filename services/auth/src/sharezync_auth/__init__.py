"""ShareZync auth.

Owns users and their passwords, login sessions, the keys that sign tokens, and devices with their
online state: the stream `account:<user>`. It knows nothing of channels and files.
"""

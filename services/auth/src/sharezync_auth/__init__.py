"""ShareZync auth.

Owns users and their passwords, login sessions, the keys that sign tokens, devices with their
online state, and whom each account has blocked: the stream `account:<user>`. It knows nothing of
channels and files.
"""

"""ShareZync chat.

Owns channels, who is in them, the messages said there and what each member has read of them: the
streams `channel:<id>` and `inbox:<user>`. It keeps the names of users as auth tells them, and of
attached files what storage told when they were attached; never bytes of files, never passwords.
"""

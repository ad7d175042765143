"""ShareZync chat.

Owns channels, who is in them, the messages said there and what each member has read of them: the
streams `channel:<id>` and `inbox:<user>`. It keeps names of users as auth publishes them, and of
attached files the metadata as of when they were attached; never bytes of files, never passwords.
"""

"""ShareZync transfer.

Owns offers of files from person to person: who sends what to whom, what each recipient said to it,
how far everyone is, and what came of it; the streams `transfers:<user>`. It keeps a record of
chunks, never their bytes (storage has those), and the names of users as auth publishes them.
"""

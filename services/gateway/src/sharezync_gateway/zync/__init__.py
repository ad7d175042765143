"""The dialect of Zync's clients, where `COMPAT_ZYNC` is set: their routes at the root, and sockets.

Every request is translated into requests to this gateway itself, with the token of the client, and
the answers back: no row, rule or limit is known here.

| module | |
|---|---|
| `documents` | what they call a user, a channel, a message; pure |
| `requests` | one request of theirs, and what is asked on its behalf |
| `users`, `channels`, `messages` | what each of their routes comes to |
| `routes` | rows of the route table, and who handles them |
| `socket` | the socket of one channel, on which every frame is a bare message |
"""

"""Files from user to user: chunks up from senders, to storage, and down to recipients.

| module | |
|---|---|
| `context` | what one node has of everything, and what happens to a chunk whichever way it came |
| `core` | chunks, their store, calls to transfer and storage, notices, reports of progress |
| `socket` | frames of WebSockets: chunks within a window, acknowledgements, deliveries, commands |
| `http` | requests for clients without a socket: chunks in and out, and files in order |

Both ways see each other's progress: who receives on a socket gets a chunk that came over HTTP at
once, and the other way round.
"""

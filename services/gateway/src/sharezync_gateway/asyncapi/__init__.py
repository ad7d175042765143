"""The AsyncAPI 3 document: everything that is said on sockets, and the facts on the broker.

`frames` are the gateway's own. Events and the bodies of commands come from the documents of the
services (`declared`: their `x-realtime`). `facts` are the contracts of `sharezync_shared`.
`compose` makes one document of them, with what `messages` and `sockets` describe.
"""

from sharezync_gateway.asyncapi.compose import AsyncApi

__all__ = ["AsyncApi"]

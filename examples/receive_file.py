"""Wait for an offer, accept its first file, check and acknowledge every chunk, and save it.

Whoever offers chooses the name: nothing of theirs may hide, lead elsewhere or replace something. So
the file comes into a new folder, under a name that is made harmless. See `names.py` of
the Python client for all that a name can do.
"""

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path
from uuid import UUID

from wire import Chunk, connected, frame_of, next_frame


def harmless(name: str) -> str:
    """The last part of a path, in plain characters, without a dot before it, never empty."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-100:].lstrip(".-") or "file"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=Path())
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--device", default="receiver")
    arguments = parser.parse_args()
    async with connected(arguments.url, arguments.token, arguments.device) as socket:
        print("waiting for an offer", flush=True)
        transfer = (await frame_of(socket, "incoming_transfer"))["data"]
        accept = {
            "type": "transfer_accept",
            "id": 1,
            "transfer_id": transfer["id"],
            "files": [0],
        }
        await socket.send(json.dumps(accept))
        offered = transfer["files"][0]
        chunk_size = transfer["chunk_size_bytes"]
        folder = arguments.into / str(UUID(transfer["id"]))
        folder.mkdir(parents=True)  # fails where it is there: nothing is mixed with what is
        path = folder / harmless(offered["name"])
        kept: set[int] = set()
        first_missing = 0
        with path.open("xb") as file:
            while first_missing * chunk_size < offered["size_bytes"]:
                frame = await next_frame(socket)
                if not isinstance(frame, Chunk) or frame.file != 0:
                    continue
                file.seek(frame.number * chunk_size)
                file.write(frame.payload)
                kept.add(frame.number)
                while first_missing in kept:
                    first_missing += 1
                ack = {
                    "type": "chunk_ack",
                    "transfer_id": transfer["id"],
                    "file": 0,
                    "next": first_missing,
                }
                await socket.send(json.dumps(ack))
        await frame_of(socket, "transfer_completed")
        print(f"received {path}, {offered['size_bytes']} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

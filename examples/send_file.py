"""Offer a file to a user and send it, never with more unacknowledged bytes than the window."""

import argparse
import asyncio
import hashlib
import json
import sys
from pathlib import Path

from wire import Chunk, connected, frame_of


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--to", required=True, metavar="USER_ID")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--device", default="sender")
    arguments = parser.parse_args()
    size = arguments.file.stat().st_size
    async with connected(arguments.url, arguments.token, arguments.device) as socket:
        offer = {
            "type": "file_transfer_start",
            "id": 1,
            "recipients": [{"user_id": arguments.to}],
            "files": [{"name": arguments.file.name, "size": size}],
        }
        await socket.send(json.dumps(offer))
        transfer = (await frame_of(socket, "reply"))["data"]
        chunk_size, window = transfer["chunk_size_bytes"], transfer["window_bytes"]
        sent = acknowledged = 0
        with arguments.file.open("rb") as file:
            while payload := file.read(chunk_size):
                while sent - acknowledged + len(payload) > window:
                    ack = await frame_of(socket, "chunk_ack")
                    acknowledged, window = ack["next"] * chunk_size, ack["window"]
                digest = hashlib.sha256(payload).digest()
                chunk = Chunk(transfer["id"], 0, sent // chunk_size, payload, digest)
                await socket.send(chunk.encode())
                sent += len(payload)
        while size and acknowledged < size:
            ack = await frame_of(socket, "chunk_ack")
            acknowledged = ack["next"] * chunk_size
        done = {"type": "transfer_complete", "id": 2, "transfer_id": transfer["id"]}
        await socket.send(json.dumps(done))
        await frame_of(socket, "reply")
        print(f"sent {arguments.file.name}, {size} bytes; stored until it is fetched", flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Wait for an offer, accept it, check and acknowledge every chunk, and save the file."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from wire import Chunk, connected, frame_of, next_frame


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
        accept = {"type": "transfer_accept", "id": 1, "transfer_id": transfer["id"]}
        await socket.send(json.dumps(accept))
        offered = transfer["files"][0]
        chunk_size = transfer["chunk_size_bytes"]
        path = arguments.into / Path(offered["name"]).name
        kept: set[int] = set()
        through = 0
        with path.open("wb") as file:
            while through * chunk_size < offered["size_bytes"]:
                frame = await next_frame(socket)
                if not isinstance(frame, Chunk):
                    continue
                file.seek(frame.number * chunk_size)
                file.write(frame.payload)
                kept.add(frame.number)
                while through in kept:
                    through += 1
                ack = {
                    "type": "chunk_ack",
                    "transfer_id": transfer["id"],
                    "file": 0,
                    "through": through,
                }
                await socket.send(json.dumps(ack))
        await frame_of(socket, "transfer_completed")
        print(f"received {path}, {offered['size_bytes']} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

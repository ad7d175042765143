"""Connect as a device and print every frame; with --until, stop after the first of that type."""

import argparse
import asyncio
import json
import sys

from wire import connected


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--token", required=True)
    parser.add_argument("--device", default="watcher")
    parser.add_argument("--until", metavar="TYPE")
    arguments = parser.parse_args()
    async with connected(arguments.url, arguments.token, arguments.device) as socket:
        async for message in socket:
            if isinstance(message, bytes):
                print(f"({len(message)} bytes)", flush=True)
                continue
            frame = json.loads(message)
            # In ASCII: what others wrote must not steer the terminal.
            print(json.dumps(frame, separators=(",", ":")), flush=True)
            if arguments.until == frame["type"]:
                return


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Connect as a device and print every frame; with --until, stop after the first of that type."""

import argparse
import asyncio
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
            text = f"({len(message)} bytes)" if isinstance(message, bytes) else message
            print(text, flush=True)
            if arguments.until and text.startswith(f'{{"type":"{arguments.until}"'):
                return


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""What it takes to offer many files, and to end such a transfer, through one process.

    python bench/offers.py                    1, 100 and 900 files
    python bench/offers.py --files 900 --runs 5

In each round somebody new offers, the recipient accepts, and the sender cancels; somebody else
offers files without a byte and completes. `offer_cpu_ms` is of our process and of PostgreSQL
together, with whatever else they do meanwhile. Tests count calls and statements; this tells what is
left of them in time.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parent))

from files import running_in_one_process
from load.product import Running, people
from load.results import keep, show

COLUMNS = ["offer_ms", "offer_cpu_ms", "accept_ms", "cancel_ms", "complete_ms"]


class _Round:
    """Two people, and what their transfer of `count` files took, in milliseconds."""

    def __init__(self, product: Running, http: httpx.AsyncClient, count: int) -> None:
        self._product = product
        self._http = http
        self._count = count
        self.took: dict[str, float] = {}

    async def run(self) -> None:
        sender, recipient, recipient_id = await self._people()
        transfer = await self._offer(sender, recipient_id, size_bytes=1)
        await self._timed("accept", recipient, f"{transfer}/accept")
        await self._timed("cancel", sender, f"{transfer}/cancel")
        sender, _, recipient_id = await self._people()
        transfer = await self._offer(sender, recipient_id, size_bytes=0)
        await self._timed("complete", sender, f"{transfer}/complete")

    async def _people(self) -> tuple[dict[str, str], dict[str, str], str]:
        pair = await people(self._http, 2)
        sender, recipient = ({"Authorization": f"Bearer {each.token}"} for each in pair)
        return sender, recipient, pair[1].id

    async def _offer(self, sender: dict[str, str], recipient_id: str, *, size_bytes: int) -> str:
        files = [{"name": f"f/{index}.txt", "size": size_bytes} for index in range(self._count)]
        body = {"recipients": [{"user_id": recipient_id}], "files": files}
        cpu = self._product.servers.cpu_seconds()
        offered = await self._timed("offer", sender, "/v1/transfers", body)
        self.took["offer_cpu_ms"] = (self._product.servers.cpu_seconds() - cpu) * 1e3
        return f"/v1/transfers/{offered['id']}"

    async def _timed(
        self, name: str, headers: dict[str, str], path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        began = time.perf_counter()
        answer = await self._http.post(path, json=body, headers=headers)
        self.took[f"{name}_ms"] = (time.perf_counter() - began) * 1e3
        if answer.is_error:
            raise SystemExit(f"{name}: {answer.status_code} {answer.text[:300]}")
        return dict(answer.json())


async def _all(product: Running, counts: list[int], runs: int) -> list[dict[str, Any]]:
    rows = []
    async with httpx.AsyncClient(base_url=product.url, timeout=120) as http:
        await _Round(product, http, 1).run()  # whatever is made at the first transfer, is made
        for _ in range(runs):
            for count in counts:
                one = _Round(product, http, count)
                await one.run()
                rows.append({"system": f"{count} files", "files": count, **one.took})
                print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Run what was asked for, and print it."""
    parser = argparse.ArgumentParser(description="Offers of many files")
    parser.add_argument("--files", type=int, nargs="*", default=[1, 100, 900])
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with running_in_one_process() as product:
        rows = asyncio.run(_all(product, asked.files, asked.runs))
    show("Offers of many files", rows, COLUMNS)
    print(f"\nkept in {keep('offers', rows)}")


if __name__ == "__main__":
    main()

"""Migrate a database as the release does whose sources are on the path; print what it uses there.

`python used_columns.py URL SERVICE...` prints `{"chat": {"messages": ["id", …], …}, …}`.
"""

import asyncio
import importlib
import json
import sys


async def main(url: str, *services: str) -> None:
    used = {}
    for service in services:
        await importlib.import_module(f"sharezync_{service}.migrations").MIGRATIONS.upgrade(url)
        tables = importlib.import_module(f"sharezync_{service}.models").metadata.sorted_tables
        used[service] = {table.name: [column.name for column in table.columns] for table in tables}
    json.dump(used, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

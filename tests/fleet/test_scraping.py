"""What Prometheus is given by each process of a fleet."""

import asyncio
import re

import httpx

from sharezync_testkit.drilled_fleet import DrilledFleet
from tests.fleet.crowd import Crowd
from tests.observed.test_metrics import promtool

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}|[0-9a-f]{32}")


async def test_every_process_says_what_promtool_finds_no_fault_with(
    fleet: DrilledFleet, crowd: Crowd
) -> None:
    person = await crowd.register("measured")
    channel = await person.channel()
    async with person.connected():
        await person.say(channel, "hello")
    async with httpx.AsyncClient() as http:
        for replicas in fleet.replicas.values():
            for replica in replicas:
                told = (await http.get(replica.metrics_url)).text
                assert "sharezync_build_info{" in told
                assert not UUID.search(told), "ids make a series each"
                found = await asyncio.to_thread(promtool, "check", "metrics", stdin=told.encode())
                assert found == "", replica.label

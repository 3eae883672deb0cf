"""The simple service: two instances that observe, and are asked for statistics and a plot."""

import asyncio
import json
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from yapapi import Golem
from yapapi.services import Service, ServiceState

from local_node import PROGRAMS, payload

INSTANCES = 2
plots = Path(tempfile.mkdtemp())


class SimpleService(Service):
    @staticmethod
    async def get_payload():
        return await payload()

    async def start(self):
        async for script in super().start():
            yield script
        script = self._ctx.new_script(timeout=timedelta(minutes=2))
        script.run(f"{PROGRAMS}/simulate_observations_ctl.py", "--start")
        yield script

    async def run(self):
        # There is something to tell once the first observations are there.
        await asyncio.sleep(5)
        script = self._ctx.new_script(timeout=timedelta(minutes=2))
        stats = script.run(f"{PROGRAMS}/simple_service.py", "--stats")
        plot = script.run(f"{PROGRAMS}/simple_service.py", "--plot", "dist")
        yield script
        assert json.loads((await stats).stdout)["size"] > 0
        source = json.loads((await plot).stdout.strip())
        target = plots / f"{self.id}.png"
        script = self._ctx.new_script(timeout=timedelta(minutes=2))
        script.download_file(source, str(target))
        yield script
        assert target.read_bytes().startswith(b"\x89PNG"), target

    async def shutdown(self):
        script = self._ctx.new_script(timeout=timedelta(minutes=2))
        script.run(f"{PROGRAMS}/simulate_observations_ctl.py", "--stop")
        yield script


async def main():
    async with Golem(budget=1.0, subnet_tag="public") as golem:
        expiration = datetime.now(timezone.utc) + timedelta(minutes=20)
        cluster = await golem.run_service(
            SimpleService, num_instances=INSTANCES, expiration=expiration
        )
        while any(one.state != ServiceState.terminated for one in cluster.instances):
            await asyncio.sleep(0.2)
        for instance in cluster.instances:
            assert instance.exc_info == (None, None, None), instance.exc_info
    assert len(list(plots.iterdir())) == INSTANCES, list(plots.iterdir())


asyncio.run(main())

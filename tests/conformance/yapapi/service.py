"""The simple service: three instances that observe, and are asked for statistics and a plot."""

import asyncio
import json
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from yapapi import Golem
from yapapi.services import Service, ServiceState

from local_node import PATIENCE, PROGRAMS, payload, until

INSTANCES = 3
plots = Path(tempfile.mkdtemp())


class SimpleService(Service):
    def __init__(self, instance_name: str):
        super().__init__()
        self.name = instance_name
        self.size = 0
        self.usage = {}
        self.cost = 0

    @staticmethod
    async def get_payload():
        return await payload()

    async def start(self):
        async for script in super().start():
            yield script
        script = self._ctx.new_script(timeout=PATIENCE)
        script.run(f"{PROGRAMS}/simulate_observations_ctl.py", "--start")
        yield script

    async def run(self):
        deadline = datetime.now() + PATIENCE
        while self.size < 2:
            assert datetime.now() < deadline, self.size
            await asyncio.sleep(0.5)
            script = self._ctx.new_script(timeout=PATIENCE)
            observations = script.run(f"{PROGRAMS}/simple_service.py", "--dump")
            yield script
            self.size = len(json.loads((await observations).stdout))
        script = self._ctx.new_script(timeout=PATIENCE)
        stats = script.run(f"{PROGRAMS}/simple_service.py", "--stats")
        plot = script.run(f"{PROGRAMS}/simple_service.py", "--plot", "dist")
        yield script
        stats = json.loads((await stats).stdout)
        assert stats["size"] >= self.size and stats["min"] <= stats["mean"] <= stats["max"], stats
        source = (await plot).stdout.strip().strip('"')
        script = self._ctx.new_script(timeout=PATIENCE)
        script.download_file(source, str(plots / f"{self.name}.png"))
        yield script
        self.usage = (await self._ctx.get_usage()).current_usage
        self.cost = await self._ctx.get_cost()
        # Until the cluster is stopped.
        await asyncio.Future()

    async def shutdown(self):
        script = self._ctx.new_script(timeout=PATIENCE)
        script.run(f"{PROGRAMS}/simulate_observations_ctl.py", "--stop")
        yield script


async def main():
    async with Golem(budget=1.0, subnet_tag="public") as golem:
        cluster = await golem.run_service(
            SimpleService,
            instance_params=[{"instance_name": f"simple-{i}"} for i in range(INSTANCES)],
            expiration=datetime.now(timezone.utc) + timedelta(minutes=20),
        )

        def in_state(state):
            return [one for one in cluster.instances if one.state == state]

        def are_done():
            over = in_state(ServiceState.terminated)
            assert not over, [one.exc_info for one in over]
            return len([one for one in cluster.instances if one.cost]) == INSTANCES

        await until(are_done, "plots")
        for one in cluster.instances:
            used = one.usage["golem.usage.duration_sec"]
            assert used > 0 and one.cost > 0, (one.usage, one.cost)
        providers = {one.provider_name for one in cluster.instances}
        cluster.stop()
        await until(lambda: len(in_state(ServiceState.terminated)) == INSTANCES, "the end")
        for one in cluster.instances:
            assert one.exc_info == (None, None, None), one.exc_info
    drawn = sorted(plot.stem for plot in plots.iterdir() if plot.read_bytes()[:4] == b"\x89PNG")
    print(*drawn, "on", *sorted(providers))


asyncio.run(main())

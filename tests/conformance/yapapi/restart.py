"""A service whose first start fails begins anew, on the same address of its network; suspended, it is taken up again."""

import asyncio
from datetime import datetime, timedelta, timezone

from yapapi import Golem
from yapapi.payload import vm
from yapapi.services import Service, ServiceState

from local_node import PATIENCE, PROGRAMS, payload, until

ADDRESS = "192.168.7.10"
starts = []
steps = []


class Unlucky(Service):
    @staticmethod
    async def get_payload():
        return await payload("kiln/peer:latest", capabilities=[vm.VM_CAPS_VPN])

    async def start(self):
        starts.append((self._ctx.id, self.network_node.ip))
        async for script in super().start():
            yield script
        script = self._ctx.new_script(timeout=PATIENCE)
        wanted = "serve" if len(starts) > 1 else "nonsense"
        script.run(f"{PROGRAMS}/peer", wanted, "lucky", "7000")
        yield script

    async def run(self):
        steps.append("runs")
        while True:
            script = self._ctx.new_script(timeout=PATIENCE)
            asked = script.run(f"{PROGRAMS}/peer", "ask", "127.0.0.1", "7000", "hello")
            yield script
            assert (await asked).stdout.strip() == "lucky heard hello"
            steps.append("asked")
            await asyncio.sleep(0.1)

    async def shutdown(self):
        steps.append("shuts down")
        script = self._ctx.new_script(timeout=PATIENCE)
        script.run(f"{PROGRAMS}/peer", "ask", "127.0.0.1", "7000", "goodbye")
        yield script

    async def reset(self):
        pass


async def main():
    async with Golem(budget=1.0, subnet_tag="public") as golem:
        network = await golem.create_network("192.168.7.0/24")
        expiration = datetime.now(timezone.utc) + timedelta(minutes=20)
        cluster = await golem.run_service(
            Unlucky, network=network, network_addresses=[ADDRESS], expiration=expiration
        )
        await until(lambda: "asked" in steps, "an answer")
        serialized = (network.serialize(), cluster.serialize_instances())
        cluster.suspend()
        await until(lambda: cluster.instances[0].state == ServiceState.suspended, "suspension")
        await golem.stop(wait_for_payments=False)
        print(len(starts), "starts at", *{address for _, address in starts}, *sorted(set(steps)))
        steps.clear()

        await golem.start()
        network = await golem.resume_network(serialized[0])
        cluster = await golem.resume_service(
            Unlucky, instances=serialized[1], network=network, expiration=expiration
        )
        await until(lambda: "asked" in steps, "an answer after it was taken up again")
        cluster.stop()
        await until(lambda: cluster.instances[0].state == ServiceState.terminated, "the end")
        await network.remove()
        print("taken up again:", steps[0], len(starts), "starts;", steps[-1])


asyncio.run(main())

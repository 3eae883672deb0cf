"""A provider's own runtime, which counts by itself: the counter is seen, what it costs, and on the bill."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from yapapi import Golem, events
from yapapi.payload import Payload
from yapapi.props import inf
from yapapi.props.base import constraint
from yapapi.services import Service, ServiceState
from yapapi.strategy import LeastExpensiveLinearPayuMS

from local_node import PATIENCE, until

COUNTER = "golem.usage.counted"
invoices = []


@dataclass
class CountingPayload(Payload):
    runtime: str = constraint(inf.INF_RUNTIME_NAME, default="counting")


class CountingService(Service):
    usage = {}
    cost = None

    @staticmethod
    async def get_payload():
        return CountingPayload()

    async def run(self):
        total = 0
        for number in (3, 4):
            total += number
            script = self._ctx.new_script(timeout=PATIENCE)
            counted = script.run("count", str(number))
            yield script
            assert (await counted).stdout.strip() == str(total), counted

        async def is_reported():
            self.usage = (await self._ctx.get_usage()).current_usage
            return self.usage.get(COUNTER) == total

        await until(is_reported, "the counter")
        self.cost = await self._ctx.get_cost()


async def main():
    # The first provider is cheaper, but its counter is not.
    strategy = LeastExpensiveLinearPayuMS(max_price_for={COUNTER: Decimal("0.5")})
    async with Golem(budget=10.0, subnet_tag="public", strategy=strategy) as golem:
        golem.add_event_consumer(invoices.append, [events.InvoiceAccepted])
        cluster = await golem.run_service(
            CountingService,
            expiration=datetime.now(timezone.utc) + timedelta(minutes=20),
        )
        is_over = lambda: cluster.instances[0].state == ServiceState.terminated
        await until(lambda: cluster.instances and is_over(), "the end")
        [instance] = cluster.instances
        assert instance.exc_info == (None, None, None), instance.exc_info
    [invoice] = invoices
    print(f"{instance.usage[COUNTER]:g} for {instance.cost:g} on {instance.provider_name}, billed {Decimal(invoice.amount):f}")


asyncio.run(main())

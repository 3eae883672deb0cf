"""What is on the market: a demand for anything, and the offers that come; nothing is bought."""

import asyncio
from datetime import datetime, timezone

from yapapi import props, rest
from yapapi.config import ApiConfig
from yapapi.props.builder import DemandBuilder
from yapapi.props.com import ComLinear
from yapapi.props.inf import INF_CORES, InfBase

from local_node import PATIENCE


async def scan(wanted):
    """The first so many offers, by the names of their providers."""
    demand = DemandBuilder()
    demand.add(props.NodeInfo(name="scans", subnet_tag="public"))
    demand.add(props.Activity(expiration=datetime.now(timezone.utc)))
    offers = {}
    async with rest.Configuration(ApiConfig()).market() as client:
        market = rest.Market(client)
        async with market.subscribe(demand.properties, demand.constraints) as subscription:
            async for offer in subscription.events():
                assert not offer.is_draft
                offers[props.NodeInfo.from_properties(offer.props).name] = offer
                if len(offers) == wanted:
                    break
        assert [one async for one in market.subscriptions()] == [], "it is unsubscribed"
    return offers


offers = asyncio.run(asyncio.wait_for(scan(3), PATIENCE.total_seconds()))
for name, offer in sorted(offers.items()):
    price = ComLinear.from_properties(offer.props)
    assert price.price_for["golem.usage.duration_sec"] > 0, price
    machine = InfBase.from_properties(offer.props)
    print(f"{name}: {offer.props[INF_CORES]} cores, {machine.mem:g} GiB, {machine.runtime}")

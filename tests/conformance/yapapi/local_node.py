"""What programs of yapapi's need to run on a local node: where to look for images. And how they wait and end."""

import asyncio
import os
import time
from datetime import timedelta

from yapapi.payload import vm

# yapapi takes the address of the registry from nowhere but this argument.
vm.repo.__kwdefaults__["repository_url"] = os.environ["GOLEM_REGISTRY_URL"]

PROGRAMS = "/golem/run"
# How long anything may take on a machine that has other things to do.
PATIENCE = timedelta(minutes=2)


async def payload(image_tag="kiln/simple_service:latest", **more):
    return await vm.repo(image_tag=image_tag, min_mem_gib=0.5, min_storage_gib=2.0, **more)


async def until(condition, what):
    """Waits until `condition()`, which may be awaitable, is true, and returns what it is."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not in {PATIENCE}"
        await asyncio.sleep(0.1)

"""A first program: two commands on one provider."""

import asyncio
import os

from yapapi import Golem, Task
from yapapi.payload import vm

# yapapi takes the address of the registry from nowhere but this argument.
vm.repo.__kwdefaults__["repository_url"] = os.environ["GOLEM_REGISTRY_URL"]


async def worker(context, tasks):
    async for task in tasks:
        script = context.new_script()
        script.run("/golem/run/simple_service.py", "--add", "14")
        stats = script.run("/golem/run/simple_service.py", "--stats")
        yield script
        task.accept_result((await stats).stdout)


async def main():
    payload = await vm.repo(image_tag="kiln/simple_service:latest")
    async with Golem(budget=1.0, subnet_tag="public") as golem:
        async for task in golem.execute_tasks(worker, [Task(data=None)], payload=payload):
            print(task.result)


asyncio.run(main())

"""Tasks that fail on one provider and are done on others: the first provider's exe-units die at their first command."""

import asyncio
from datetime import timedelta

from yapapi import Golem, Task, WorkContext, events
from yapapi.contrib.strategy import ProviderFilter

from local_node import PATIENCE, PROGRAMS, payload

tried = {}
failed = set()


async def worker(context: WorkContext, tasks):
    async for task in tasks:
        tried.setdefault(task.data, []).append(context.provider_name)
        script = context.new_script(timeout=PATIENCE)
        arguments = ["--help"] if task.data != "wrong once" or len(tried[task.data]) > 1 else ["--wrong"]
        script.run(f"{PROGRAMS}/simple_service.py", *arguments)
        try:
            yield script
        except Exception:
            # No more of this provider's offers.
            failed.add(context.provider_id)
            raise
        task.accept_result(context.provider_name)


async def main():
    terminated = []
    golem = Golem(budget=1.0, subnet_tag="public")
    golem.strategy = ProviderFilter(golem.strategy, lambda provider: provider not in failed)
    golem.add_event_consumer(terminated.append, [events.AgreementTerminated])
    async with golem:
        done = golem.execute_tasks(
            worker,
            [Task(data=name) for name in ("first", "second", "wrong once")],
            payload=await payload(),
            max_workers=1,
            timeout=timedelta(minutes=15),
        )
        results = {task.data: task.result async for task in done}
    assert set(results) == {"first", "second", "wrong once"}, (results, tried)
    assert all(tried[name][-1] == provider for name, provider in results.items()), (results, tried)
    assert "fragile" not in results.values(), results
    print("tried:", *(f"{name} {len(providers)}x," for name, providers in sorted(tried.items())))
    print("first on:", *tried["first"][:1], "agreements:", len(terminated))


asyncio.run(main())

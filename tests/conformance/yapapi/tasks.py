"""Tasks: files of all kinds there and back, a result that is refused once and worked out again.

With the argument `stream` the results come as a stream of events.
"""

import asyncio
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from yapapi import Golem, Task, WorkContext, events

from local_node import PATIENCE, PROGRAMS, payload

stream = sys.argv[1:] == ["stream"]
folder = Path(tempfile.mkdtemp())
tried = []
streamed = {}


def note(event):
    """Output comes in pieces; a script of ours has one command that says something."""
    streamed[event.script_id] = streamed.get(event.script_id, "") + event.output


async def worker(context: WorkContext, tasks):
    async for task in tasks:
        tried.append(task.data)
        received = {}

        async def on_bytes(content: bytes):
            received["bytes"] = content

        async def on_json(content):
            received["json"] = content

        sent = bytes(range(256)) * (1 + 500 * task.data)
        (folder / f"sent-{task.data}").write_bytes(sent)
        script = context.new_script(timeout=PATIENCE)
        help = script.run(f"{PROGRAMS}/simple_service.py", "--help")
        script.upload_json({"task": task.data}, "/golem/in/task.json")
        script.upload_bytes(sent, "/golem/in/bytes")
        script.upload_file(str(folder / f"sent-{task.data}"), "/golem/in/file")
        script.download_json("/golem/in/task.json", on_json)
        script.download_bytes("/golem/in/bytes", on_bytes)
        script.download_file("/golem/in/file", str(folder / f"received-{task.data}"))
        yield script
        # Streamed output is in the events, not in the results.
        assert stream or "--plot" in (await help).stdout
        assert received == {"json": {"task": task.data}, "bytes": sent}
        assert (folder / f"received-{task.data}").read_bytes() == sent
        if task.data == 1 and tried.count(1) == 1:
            task.reject_result("once more", retry=True)
        else:
            task.accept_result(json.dumps(received["json"]))


async def main():
    async with Golem(budget=1.0, subnet_tag="public", stream_output=stream) as golem:
        golem.add_event_consumer(note, [events.CommandStdOut])
        done = golem.execute_tasks(
            worker,
            [Task(data=number) for number in range(4)],
            payload=await payload(),
            max_workers=2,
            timeout=timedelta(minutes=15),
        )
        results = sorted([task.result async for task in done])
    assert results == [json.dumps({"task": number}) for number in range(4)], results
    assert sorted(tried) == [0, 1, 1, 2, 3], tried
    helps = [output for output in streamed.values() if "--plot" in output and "--stats" in output]
    print(f"{len(results)} results after {len(tried)} tries, {len(helps)} outputs streamed")


asyncio.run(main())

#!/usr/bin/env python3
"""A policy for `kiln simulate --policy-command "python3 examples/policy.py" DATASET`.

Every step it is told the state as a line of JSON, and answers with a line of actions. This one brings what runs nowhere
to the server with room that has the most CPU free, of those the one with the most of the image: images gather.
"""
import json
import sys

images, sizes = {}, {}  # told in the first step


def missing(server, service):
    """The layers of a service's image that a server lacks."""
    return set(images[service["image"]]) - set(server["layers"])


def room(server, service):
    """The CPU that is left, and the MB that are not to be fetched; None where the service does not fit."""
    free = {name: server[name] - server[name + "_demand"] for name in ("cpu", "memory", "disk")}
    fetched = sum(sizes[digest] for digest in missing(server, service))
    asked = {"cpu": service["cpu_demand"], "memory": service["memory_demand"], "disk": fetched}
    return (free["cpu"], -fetched) if all(free[name] >= asked[name] for name in free) else None


for line in sys.stdin:
    state = json.loads(line)
    images, sizes = state.get("images", images), state.get("layers", sizes)
    actions = []
    for service in state["services"]:
        homeless = service["server"] is None and not service["being_provisioned"]
        fitting = [server for server in state["servers"] if homeless and room(server, service)]
        if fitting:
            best = max(fitting, key=lambda server: room(server, service))
            actions.append({"op": "provision", "service": service["id"], "server": best["id"]})
            best["cpu_demand"] += service["cpu_demand"]  # the next service is to see what this one takes
            best["memory_demand"] += service["memory_demand"]
            best["disk_demand"] += sum(sizes[digest] for digest in missing(best, service))
            best["layers"] += missing(best, service)
    print(json.dumps(actions), flush=True)  # an answer that is not flushed never arrives

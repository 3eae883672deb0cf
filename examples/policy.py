#!/usr/bin/env python3
"""A policy for `kiln simulate --policy-command "python3 examples/policy.py" DATASET`.

Every step it is told the state as a line of JSON, and answers with a line of actions. This one brings every service
that runs nowhere to the server with the most CPU free that has room for it, and spreads images: of servers with as
much CPU free, the one that has more of the image's layers already is taken.
"""
import json
import sys

fixed, images, sizes = {}, {}, {}


def lacking(server, service):
    """The MB of a service's image that a server lacks."""
    return sum(sizes[digest] for digest in set(images[service["image"]]) - set(server["layers"]))


for line in sys.stdin:
    state = json.loads(line)
    if state["step"] == 1:  # what does not change is told once
        images, sizes = state["images"], state["layers"]
        fixed = {server["id"]: server for server in state["servers"]}
    actions = []
    for service in state["services"]:
        if service["server"] is not None or service["being_provisioned"]:
            continue
        best, best_rank = None, None
        for server in state["servers"]:
            has = fixed[server["id"]]
            free = {name: has[name] - server[name + "_demand"] for name in ("cpu", "memory", "disk")}
            if free["cpu"] < service["cpu_demand"] or free["memory"] < service["memory_demand"]:
                continue
            rank = (free["cpu"], -lacking(server, service))
            if free["disk"] >= lacking(server, service) and (best is None or rank > best_rank):
                best, best_rank = server, rank
        if best is not None:
            actions.append({"op": "provision", "service": service["id"], "server": best["id"]})
            best["cpu_demand"] += service["cpu_demand"]  # the next one is to see what this one takes
            best["memory_demand"] += service["memory_demand"]
    print(json.dumps(actions), flush=True)

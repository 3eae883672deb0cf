"""What a local node takes, over HTTP, as a client sees it.

    python3 tests/conformance/figures.py PID IMAGE_TAG [ROUNDS]

with the lines of `kiln node` exported, its process id, and the tag of an image with the simple service's programs.
Prints a table. Needs nothing but Python.
"""

import http.client
import json
import os
import statistics
import sys
import time
import urllib.parse

URL = urllib.parse.urlparse(os.environ["YAGNA_API_URL"])
KEY = os.environ["YAGNA_APPKEY"]
connection = http.client.HTTPConnection(URL.hostname, URL.port)


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {text}")
    return json.loads(text) if text else None


def demand(image, allocation):
    decorations = call("GET", f"/payment-api/v1/demandDecorations?allocationIds={allocation['allocationId']}")
    properties = {each["key"]: each["value"] for each in decorations["properties"]}
    properties |= {
        "golem.srv.comp.expiration": int(time.time() * 1000) + 20 * 60_000,
        "golem.srv.comp.task_package": f"hash:sha3:{image['sha3']}:{image['http']}",
        "golem.srv.comp.vm.package_format": "gvmkit-squash",
        "golem.node.debug.subnet": "public",
        "golem.com.payment.chosen-platform": allocation["paymentPlatform"],
        "golem.com.payment.debit-notes.accept-timeout?": 240,
    }
    constraints = "".join(decorations["constraints"])
    return {"properties": properties, "constraints": f"(&(golem.runtime.name=vm){constraints})"}


def agree(new):
    began = time.perf_counter()
    market = "/market-api/v1"
    own = call("POST", f"{market}/demands", new)

    def proposals():
        while True:
            for event in call("GET", f"{market}/demands/{own}/events?timeout=20&maxEvents=1"):
                yield event["proposal"]

    for proposal in proposals():
        if proposal["state"] == "Initial":
            call("POST", f"{market}/demands/{own}/proposals/{proposal['proposalId']}", new)
        else:
            break
    valid_to = "2100-01-01T00:00:00Z"
    agreement = call("POST", f"{market}/agreements", {"proposalId": proposal["proposalId"], "validTo": valid_to})
    call("POST", f"{market}/agreements/{agreement}/confirm")
    call("POST", f"{market}/agreements/{agreement}/wait?timeout=20")
    took = time.perf_counter() - began
    call("DELETE", f"{market}/demands/{own}")
    return agreement, took


def execute(activity, script):
    began = time.perf_counter()
    path = f"/activity-api/v1/activity/{activity}/exec"
    batch = call("POST", path, {"text": json.dumps(script)})
    results = []
    while not results or not results[-1]["isBatchFinished"]:
        results = call("GET", f"{path}/{batch}?timeout=20")
    if results[-1]["result"] != "Ok":
        raise SystemExit(results[-1])
    return time.perf_counter() - began


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main():
    pid, tag = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    rows = [("memory of an idle node", [memory(pid)], "MiB")]
    image = call("GET", f"/v1/image/info?tag={tag}")
    allocation = call("POST", "/payment-api/v1/allocations", {"totalAmount": "100"})
    agreeing, creating, starting, running, ending = [], [], [], [], []
    for _ in range(rounds):
        agreement, took = agree(demand(image, allocation))
        agreeing.append(took)
        began = time.perf_counter()
        activity = call("POST", "/activity-api/v1/activity", agreement)
        creating.append(time.perf_counter() - began)
        starting.append(execute(activity, [{"deploy": {}}, {"start": {}}]))
        run = {"run": {"entry_point": "/golem/run/simple_service", "args": ["--help"]}}
        running.extend(execute(activity, [run]) for _ in range(20))
        began = time.perf_counter()
        call("DELETE", f"/activity-api/v1/activity/{activity}")
        ending.append(time.perf_counter() - began)
        call("POST", f"/market-api/v1/agreements/{agreement}/terminate", {"message": "Finished"})
    rows += [
        ("demand to approved agreement", [1000 * each for each in agreeing], "ms"),
        ("create an activity", [1000 * each for each in creating], "ms"),
        ("deploy and start", [1000 * each for each in starting], "ms"),
        ("run a program, and its result", [1000 * each for each in running], "ms"),
        ("destroy an activity", [1000 * each for each in ending], "ms"),
        (f"memory of the node after {rounds} agreements", [memory(pid)], "MiB"),
    ]
    print("| | p50 | p95 | |\n|---|---|---|---|")
    for name, values, unit in rows:
        values = sorted(values)
        p95 = values[min(len(values) - 1, int(len(values) * 0.95))]
        print(f"| {name} | {statistics.median(values):.1f} | {p95:.1f} | {unit} |")


main()

"""The service's back-end as a Python program would have it: sqlite3, numpy and matplotlib."""

import argparse
import json
import os
import sqlite3
import uuid

import numpy

if "IMPORT_FIRST" in os.environ:
    # As most programs do, whatever they are called for.
    import matplotlib.pyplot

DATABASE = os.environ["SIMPLE_SERVICE_DB"]
PLOTS = os.environ["SIMPLE_SERVICE_PLOTS"]


def rows():
    with sqlite3.connect(DATABASE) as connection:
        return connection.execute(
            "SELECT value, timestamp FROM observations ORDER BY timestamp, rowid"
        ).fetchall()


def add(value):
    with sqlite3.connect(DATABASE) as connection:
        connection.execute(
            "INSERT INTO observations VALUES (?, strftime('%Y-%m-%dT%H:%M:%fZ'))", [value]
        )


def stats():
    values = numpy.array([value for value, _ in rows()])
    return {
        "min": values.min(),
        "max": values.max(),
        "median": numpy.median(values),
        "mean": values.mean(),
        "variance": values.var(),
        "std dev": values.std(),
        "size": len(values),
    }


def plot(kind):
    import matplotlib

    matplotlib.use("Agg")
    from datetime import datetime

    from matplotlib import pyplot

    values = numpy.array([value for value, _ in rows()])
    if kind == "dist":
        _, edges, _ = pyplot.hist(values, bins="auto", density=True)
        mean, deviation = values.mean(), values.std()
        curve = numpy.exp(-((edges - mean) ** 2) / (2 * deviation**2))
        pyplot.plot(edges, curve / (deviation * numpy.sqrt(2 * numpy.pi)))
        pyplot.xlabel("value")
    else:
        times = [datetime.fromisoformat(time.replace("Z", "+00:00")) for _, time in rows()]
        pyplot.plot(times, values)
        pyplot.xlabel("time")
    pyplot.title(f"{len(values)} observations")
    path = os.path.join(PLOTS, f"{kind}-{uuid.uuid4().hex}.png")
    pyplot.savefig(path)
    return path


def main():
    parser = argparse.ArgumentParser()
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--add", type=float)
    group.add_argument("--plot", choices=["time", "dist"])
    group.add_argument("--dump", action="store_true")
    group.add_argument("--stats", action="store_true")
    arguments = parser.parse_args()
    if arguments.add is not None:
        add(arguments.add)
    elif arguments.plot:
        print(json.dumps(plot(arguments.plot)))
    elif arguments.dump:
        print(json.dumps([{"value": value, "timestamp": time} for value, time in rows()]))
    else:
        print(json.dumps(stats()))


main()

#!/usr/bin/env python3
"""Replaces one version of the server by another under load: no request fails, and nothing that was answered is lost.

usage: tests/chaos/upgrade.py <server binary before> <server binary after> [--seconds 10]

By hand before a release, because it needs the program of the release before. Two copies of the old version serve on one PostgreSQL behind
PgBouncer. One of them is stopped (SIGTERM) and comes back as the new version, which migrates; both versions serve users at once, who go from
one to the other in the middle of a sign-in. Then the other copy is replaced too.
"""

import argparse
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fleet import Fleet, wait_until
from load import Told, Worker
from run import WORKERS, judge_rows


def replace(fleet, copy, binary):
    """As a load balancer does it: the copy gets no new requests while it is away."""
    fleet.copies.remove(copy)
    time.sleep(1)
    copy.process.send_signal(signal.SIGTERM)
    copy.process.wait()
    copy.kills += 1
    copy.command = [binary]
    copy.start()
    wait_until(copy.name, lambda: fleet.is_ready(copy))
    fleet.copies.append(copy)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--seconds", type=int, default=10, help="before, between and after the two replacements")
    options = parser.parse_args()
    before, after = os.path.realpath(options.before), os.path.realpath(options.after)
    told = Told()
    with Fleet(before, "on", 1) as fleet:
        steps = lambda: {name for name, in fleet.psql("SELECT version FROM seaql_migrations")}
        old_steps = steps()
        workers = [Worker(fleet, told, f"upgrade-{number}") for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        for copy in list(fleet.copies):
            time.sleep(options.seconds)
            replace(fleet, copy, after)
        time.sleep(options.seconds)
        fleet.stopping.set()
        for worker in workers:
            worker.join(60)
        wrong = told.wrong + [str(answer) for answer in told.lost] + judge_rows(fleet, told)
        print(f"{told.right} right answers, and these steps of the schema meanwhile: {sorted(steps() - old_steps) or 'none'}")
    for line in wrong[:20]:
        print("!!", line)
    if wrong:
        raise SystemExit(f"{len(wrong)} things are wrong")
    print("upgrade: all of it is right")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Runs the receivers of examples/events/ against a real server, and sends them forged requests.

usage: run.py <server binary> [scratch folder]
Needs Python 3.9 with venv, and Node.js 20 with npm. Packages are installed into the scratch folder, which is removed at the end
when none was given.
"""

import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from packages import install
from processes import Auth, Program, expect, request
from signed import check, check_forged, post, secret, signature

BINARY = os.path.realpath(sys.argv[1])
EXAMPLE = os.path.realpath(os.path.join(ROOT, "examples", "events"))
PHONE = "+916205829376"
BODY = json.dumps({"type": "test", "timestamp": "", "data": {}}).encode()


def lines(out):
    if not os.path.exists(out):
        return []
    with open(out, encoding="utf-8") as text:
        return [json.loads(line) for line in text]


def wait_for(name, out, types):
    """Until events of these types came, or a minute is over."""
    end = time.time() + 60
    while time.time() < end:
        found = sorted(line["type"] for line in lines(out))
        if found == sorted(types):
            return
        time.sleep(0.1)
    check(f"{name}, the events", found, sorted(types))


def check_events(name, receiver, key, out, folder):
    """The server's events arrive, each once, and are signed with two secrets while one replaces the other."""
    settings = {
        "EVENTS_URL": receiver.base,
        "EVENTS_SECRET": f"{secret()} {key}",
        "HOOKS_ALLOW_PRIVATE_NETWORKS": "true",
    }
    with Auth(BINARY, folder, settings) as server:
        before = ["test"] * len(lines(out))
        expect(200, request("POST", f"{server.base}/api/auth/signup", body={"phone_number": PHONE}))
        wait_for(name, out, [*before, "lead.created"])
        inbox = expect(200, request("GET", f"{server.base}/dev/inbox.json?phone_number=%2B{PHONE[1:]}"))
        code = inbox["messages"][0]["otp_code"]
        body = {"phone_number": PHONE, "otp_code": code}
        user = expect(200, request("POST", f"{server.base}/api/auth/verify-otp", body=body))["data"]["user_id"]
        signed_in = ["lead.created", "user.created", "lead.converted", "session.started"]
        wait_for(name, out, [*before, *signed_in])
        of_user = [line["type"] for line in lines(out) if line["data"].get("user_id") == user]
        check(f"{name}, the order", of_user, ["user.created", "lead.converted", "session.started"])


def check_repetition(name, receiver, key, out):
    """A repetition is taken like the first one, and changes nothing."""
    now, before = int(time.time()), len(lines(out))
    headers = {
        "webhook-id": "repeated",
        "webhook-timestamp": str(now),
        "webhook-signature": signature(key, "repeated", now, BODY),
    }
    check(f"{name}, twice", [post(receiver.base, BODY, headers)[0] for _ in range(2)], [200, 200])
    check(f"{name}, taken once", len(lines(out)), before + 1)


def main():
    given = sys.argv[2:]
    folder = os.path.realpath(given[0]) if given else tempfile.mkdtemp()
    try:
        example, python = install(EXAMPLE, folder)
        scratch = tempfile.mkdtemp(dir=folder)
        for name, command in {
            "python": [python, os.path.join(example, "receiver.py")],
            "node": ["node", os.path.join(example, "receiver.mjs")],
        }.items():
            key, out = secret(), os.path.join(scratch, f"{name}.jsonl")
            settings = {"EVENTS_SECRET": f"{key} {secret()}", "OUT": out}
            with Program(name, command, scratch, "/", settings) as receiver:
                check_forged(name, receiver, key, BODY)
                check_repetition(name, receiver, key, out)
                check_events(name, receiver, key, out, os.path.join(scratch, f"server-{name}"))
            print(f"examples/events in {name}: all is right")
    finally:
        if not given:
            shutil.rmtree(folder, ignore_errors=True)


main()

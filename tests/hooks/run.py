#!/usr/bin/env python3
"""Runs the receivers of examples/hooks/ against a real server, and sends them forged requests.

usage: run.py <server binary> [scratch folder]
Needs Python 3.9 with venv, and Node.js 20 with npm. Packages are installed into the scratch folder, which is removed at the end
when none was given.
"""

import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from packages import install
from processes import Auth, Program, expect, request
from signed import check, check_forged, secret

BINARY = os.path.realpath(sys.argv[1])
EXAMPLE = os.path.realpath(os.path.join(ROOT, "examples", "hooks"))
ALLOWED, DENIED = "+916205829376", "+919876543210"


def check_sends(name, receiver, key, folder):
    """The server's codes, as the receiver decides. The server signs with two secrets while one replaces the other."""
    settings = {
        "BEFORE_SEND_URL": receiver.base,
        "BEFORE_SEND_SECRET": f"{secret()} {key}",
        "BEFORE_SEND_ON_FAILURE": "deny",
        "HOOKS_ALLOW_PRIVATE_NETWORKS": "true",
    }
    with Auth(BINARY, folder, settings) as server:
        signup = f"{server.base}/api/auth/signup"
        expect(200, request("POST", signup, body={"phone_number": ALLOWED}))
        refused = expect(400, request("POST", signup, body={"phone_number": DENIED}))
        check(f"{name}, denied", (refused["error"]["code"], refused["error"]["reason"]), ("phone_unreachable", "blocked"))


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
            key = secret()
            settings = {"BEFORE_SEND_SECRET": f"{key} {secret()}", "DENIED_PHONES": DENIED}
            with Program(name, command, scratch, "/", settings) as receiver:
                check_forged(name, receiver, key, json.dumps({"phone_number": ALLOWED}).encode())
                check_sends(name, receiver, key, os.path.join(scratch, f"server-{name}"))
            print(f"examples/hooks in {name}: all is right")
    finally:
        if not given:
            shutil.rmtree(folder, ignore_errors=True)


main()

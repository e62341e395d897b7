#!/usr/bin/env python3
"""Runs the shops of examples/verifications/ against a real server.

usage: run.py <server binary>
Needs Python 3.9 and Node.js 20.
"""

import os
import subprocess
import sys
import tempfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from processes import Auth, Program, expect, request

BINARY = os.path.realpath(sys.argv[1])
EXAMPLE = os.path.realpath(os.path.join(ROOT, "examples", "verifications"))
SETTINGS = {"SECRET_KEY": "a secret key of the shops, of 32 bytes or more", "OTP_RESEND_SECONDS": "0"}


def check(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} and not {wanted!r}")


def api_keys(server, *arguments):
    """Runs the command as an operator would, in the folder of the server."""
    settings = {"PATH": os.environ["PATH"]} | server.settings
    command = [BINARY, "api-keys", *arguments]
    return subprocess.run(command, cwd=server.folder, env=settings, check=True, capture_output=True, text=True).stdout


def code(server, phone):
    query = urllib.parse.urlencode({"phone_number": phone})
    return expect(200, request("GET", f"{server.base}/dev/inbox.json?{query}"))["messages"][0]["otp_code"]


def other(code):
    return code[:-1] + ("1" if code.endswith("0") else "0")


def walk(name, shop, server, phone):
    orders = f"{shop.base}/orders"
    first = expect(201, request("POST", orders, body={"phone_number": phone, "item": "tea"}))["order"]
    right = code(server, phone)
    second = expect(201, request("POST", orders, body={"phone_number": phone, "item": "rice"}))["order"]
    confirm = lambda order, typed: request("POST", f"{orders}/{order}/confirm", body={"otp_code": typed})
    status, answer = confirm(first, other(right))
    check(f"{name}, a wrong code", (status, answer["error"], answer["attempts_remaining"]), (400, "otp_invalid", 2))
    check(f"{name}, the code of another order", confirm(second, right)[1].get("error"), "otp_invalid")
    for _ in range(2):
        check(f"{name}, the right code", confirm(first, right), (200, {"order": first, "status": "confirmed"}))
    check(f"{name}, no phone", request("POST", orders, body={"item": "tea"})[1]["error"], "validation_failed")
    check(f"{name}, no order", confirm("0d6a0000-0000-4000-8000-000000000000", right)[0], 404)
    profile = request("GET", f"{server.base}/api/auth/profile", shop.settings["API_KEY"])
    check(f"{name}, its key is no user", (profile[0], profile[1]["error"]["code"]), (401, "token_invalid"))
    api_keys(server, "end", name)
    check(f"{name}, an ended key", request("POST", orders, body={"phone_number": phone}), (503, {"error": "unavailable"}))


def main():
    with tempfile.TemporaryDirectory() as folder, Auth(BINARY, os.path.join(folder, "server"), SETTINGS) as server:
        shops = {"python": [sys.executable, "shop.py"], "node": ["node", "shop.mjs"]}
        for number, (name, command) in enumerate(shops.items()):
            printed = api_keys(server, "create", "--name", name, "--scope", "verifications")
            key = next(line for line in printed.splitlines() if line.startswith("lak_"))
            script = [command[0], os.path.join(EXAMPLE, command[1])]
            with Program(name, script, folder, "/health", {"AUTH_URL": server.base, "API_KEY": key}) as shop:
                walk(name, shop, server, f"+91981234567{number}")
            print(f"examples/verifications in {name}: all is right")


main()

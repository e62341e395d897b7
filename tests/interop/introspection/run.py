#!/usr/bin/env python3
"""Asks a real server about tokens, with the libraries that services use for RFC 7662.

usage: run.py <server binary> [scratch folder]
Needs Python 3.9 with venv, and Node.js 20 with npm. Packages are installed into the scratch folder, which is removed at the end
when none was given.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir))

from packages import install
from processes import Auth, expect, request

BINARY = os.path.realpath(sys.argv[1])


def check(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} and not {wanted!r}")


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def api_key(server):
    command = [BINARY, "api-keys", "create", "--name", "gateway", "--scope", "introspect", "--json"]
    settings = {"PATH": os.environ["PATH"]} | server.settings
    made = subprocess.run(command, cwd=server.folder, env=settings, check=True, capture_output=True, text=True)
    return json.loads(made.stdout)["key"]


def walk(name, command, server, key):
    def ask(*tokens):
        return json.loads(subprocess.run([*command, server.base, key, *tokens], check=True, capture_output=True, text=True).stdout)

    pair = server.register(f"{name}-user")
    access, refresh, cut = ask(pair["access"], pair["refresh"], pair["access"][:-2])
    claims = claims_of(pair["access"])
    told = {member: claims[member] for member in ("sid", "jti", "iat", "exp", "role", "username", "token_type")}
    check(f"{name}, an access token", access, told | {"active": True, "sub": claims["user_id"]})
    check(f"{name}, a refresh token", (refresh["active"], refresh["token_type"]), (True, "refresh"))
    check(f"{name}, a cut token", cut, {"active": False})
    expect(200, request("POST", f"{server.base}/api/auth/logout", pair["access"]))
    check(f"{name}, after the end of the session", ask(pair["access"], pair["refresh"]), [{"active": False}] * 2)
    print(f"introspection with the library in {name}: all is right")


def main():
    given = sys.argv[2:]
    folder = os.path.realpath(given[0]) if given else tempfile.mkdtemp()
    try:
        clients, python = install(os.path.join(HERE, "clients"), folder)
        settings = {"SECRET_KEY": "a secret key of the gateway, of 32 bytes or more"}
        with Auth(BINARY, tempfile.mkdtemp(dir=folder), settings) as server:
            key = api_key(server)
            walk("python", [python, os.path.join(clients, "introspect.py")], server, key)
            walk("node", ["node", os.path.join(clients, "introspect.mjs")], server, key)
    finally:
        if not given:
            shutil.rmtree(folder, ignore_errors=True)


main()

"""The discovery document, as libraries read it: `openid-client` of npm and `Authlib` of PyPI, in discovery/."""

import json
import os
import subprocess
import sys

import forge
from cryptography.hazmat.primitives import serialization
from processes import Auth, free_port, request

LIMIT_SECONDS = 60


def clients(scratch):
    folder = os.path.join(scratch, "discovery")
    return {
        "openid-client": (folder, ["node", "discover.mjs"]),
        "Authlib": (folder, [sys.executable, "discover.py"]),
    }


def discover(client, issuer, token):
    """The claims that a client reads, or why it refuses the token."""
    folder, command = client
    own = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    ran = subprocess.run(
        command, cwd=folder, env=own | {"ISSUER": issuer, "TOKEN": token}, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    return (json.loads(ran.stdout), "") if ran.returncode == 0 else (None, ran.stderr[-300:])


def keys_are_discovered(report, binary, scratch, folder, algorithm):
    os.makedirs(folder, exist_ok=True)
    file = os.path.join(folder, "key.pem")
    subprocess.run([binary, "keys", "generate", "--algorithm", algorithm, "--out", file], check=True, stdout=subprocess.DEVNULL)
    with open(file, "rb") as pem:
        key = serialization.load_pem_private_key(pem.read(), None)
    auth = Auth(binary, folder, {"JWT_ALGORITHM": algorithm, "JWT_PRIVATE_KEY_FILE": file, "RATE_LIMITS_ENABLED": "false"})
    auth.settings |= {"PUBLIC_BASE_URL": auth.base, "JWT_ISSUER": auth.base, "JWT_CLAIMS": "phone_verified,name"}
    with auth:
        pair = auth.sign_in_by_phone("+919812345678")
        header, claims = forge.read(pair["access"])
        forged = forge.refused(algorithm, key, pair)
        forged["another issuer"] = forge.sign(algorithm, key, header, claims | {"iss": "https://other.example.com"})
        for name, client in clients(scratch).items():
            found, why = discover(client, auth.base, pair["access"])
            report.same(f"{name} reads a token of {algorithm}{why and ': ' + why}", found, claims)
            report.same(f"{name} finds the user in sub", (found or {}).get("sub"), claims["user_id"])
            for kind, token in forged.items():
                found, why = discover(client, auth.base, token)
                report.check(f"{name} refuses {kind}", found is None and why != "", found)


def no_issuer_is_discovered(report, binary, scratch, folder):
    """A server whose issuer has another name than its address has no document, and the libraries say so."""
    with Auth(binary, folder, {"JWT_ISSUER": "https://auth.example.com", "PUBLIC_BASE_URL": f"http://127.0.0.1:{free_port()}"}) as auth:
        pair = auth.register("testuser")
        status, body = request("GET", f"{auth.base}/.well-known/openid-configuration")
        report.same("there is no document", (status, body["error"]["code"]), (404, "not_found"))
        for name, client in clients(scratch).items():
            found, why = discover(client, auth.base, pair["access"])
            report.check(f"{name} finds no issuer", found is None and why != "", found)

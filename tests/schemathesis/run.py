"""Runs schemathesis three times, each against a server of its own: without a token, as a user, and as an admin.

usage: run.py <server binary> <scratch folder>; run.sh installs what is needed and calls it.
"""

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from processes import Auth

BINARY, SCRATCH = sys.argv[1:]

# Longer than any machine should need. A run over it is an error.
PATIENCE_SECONDS = 600

# The document is judged here, not the budgets: they would answer most of this with 429.
SETTINGS = {
    "TWILIO_TEST_MODE": "true",
    "RATE_LIMITS_ENABLED": "false",
    "OTP_RESEND_SECONDS": "0",
    "GUESTS": "on",
    "SECRET_KEY": "a secret key of schemathesis, 32 bytes or more",
    "JWT_SECRET_KEY": "a token secret of schemathesis, 32 bytes or more",
}


# One pass of chains ends where an answer differs from that of the same request before, as answers of a server with a memory
# do. So there are several, each from a seed of its own.
ROUNDS = {
    "single": ["--phases", "examples,coverage,fuzzing", "--seed", "20261121"],
    **{f"chains-{seed}": ["--phases", "stateful", "--seed", str(seed)] for seed in range(1, 4)},
}


def settings_of(who, server, number):
    """What hooks.py reads, and nothing else of our environment but the path."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": server.folder,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Sets and dictionaries keep one order, so that a seed means the same each time.
        "PYTHONHASHSEED": "0",
        # A proxy of the environment is not for addresses of this machine.
        "NO_PROXY": "127.0.0.1",
        "SCHEMATHESIS_HOOKS": os.path.join(HERE, "hooks.py"),
        "WHO": who,
        "ROUND": str(number),
        "SERVER": server.base,
        "SERVER_BINARY": BINARY,
        "SERVER_FOLDER": server.folder,
    }


def run(who, server):
    """Every round as one party; whether all was well."""
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    sound = True
    for number, (name, phases) in enumerate(ROUNDS.items()):
        command = [program, "--config-file", os.path.join(HERE, "schemathesis.toml"), "run", *phases]
        with open(os.path.join(server.folder, f"{name}.txt"), "wb") as report:
            status = subprocess.run(
                [*command, f"{server.base}/api/openapi.json"],
                cwd=server.folder, env=settings_of(who, server, number), stdout=report, stderr=report, check=False,
                timeout=PATIENCE_SECONDS,
            ).returncode
        sound = sound and status == 0
    return sound


def lines(who, name):
    path = os.path.join(SCRATCH, who, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as report:
        return report.read().splitlines()


def tried(parties):
    """An operation that refused every caller was not really tried: four of five must succeed for at least one caller."""
    succeeded = set().union(*(lines(who, "succeeded.txt") for who in parties))
    with open(os.path.join(HERE, os.pardir, os.pardir, "docs", "openapi.json"), encoding="utf-8") as document:
        paths = json.load(document)["paths"]
    every = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    print(f"\n{len(every & succeeded)} of {len(every)} operations succeeded for a caller, not {sorted(every - succeeded)}")
    if len(every & succeeded) < len(every) * 0.8:
        sys.exit("the requests are not what the server needs to do its work")


def main():
    servers = {who: Auth(BINARY, os.path.join(SCRATCH, who), SETTINGS) for who in ["nobody", "person", "admin"]}
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            # The discovery document is there for an issuer that is the server itself.
            server.settings = server.settings | {"PUBLIC_BASE_URL": server.base, "JWT_ISSUER": server.base}
            stack.enter_context(server)
        with ThreadPoolExecutor() as pool:
            sound = dict(zip(servers, pool.map(run, servers, servers.values())))
    for who in servers:
        for name in ROUNDS:
            print(f"\n== schemathesis as {who}: {name}")
            print("\n".join(lines(who, f"{name}.txt")), flush=True)
    tried(servers)
    if not all(sound.values()):
        sys.exit(f"schemathesis failed as {', '.join(who for who in sound if not sound[who])}")


main()

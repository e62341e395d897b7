#!/usr/bin/env python3
"""Measures whether the time of an answer tells if a phone has an account, with HIDE_ACCOUNT_EXISTENCE on.

    python3 tests/answer_times/run.py target/release/loopin-auth [rounds]

Starts the server in test mode on a new SQLite database and sends the same requests for four kinds of phones: unknown, with
an unfinished profile, with a finished one, and with a disabled account. The kinds take turns, so that a busy machine affects
all of them alike. Prints percentiles in milliseconds and asserts nothing about them. Needs only Python's own library.
"""

import collections
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

KINDS = ["unknown", "unfinished", "finished", "disabled"]
SETTINGS = {
    "SECRET_KEY": "a secret key of the tests, 32 bytes or more",
    "JWT_SECRET_KEY": "a token secret of the tests, 32 bytes or more",
    "DATABASE_URL": "sqlite://times.sqlite3",
    "HIDE_ACCOUNT_EXISTENCE": "true",
    "RATE_LIMITS_ENABLED": "false",
    "OTP_RESEND_SECONDS": "0",
    "GUARD_REQUESTS_PER_SECOND": "0",
}
PROFILE = {
    "name": "Gaurav Kumar",
    "birth_date": "1995-01-01",
    "gender": "male",
    "event_interests": [1, 2, 3],
    "profile_pictures": ["https://example.com/pic1.jpg", "https://example.com/pic2.jpg"],
}


class Client:
    """One connection to the server."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(self, method, path, body=None, token=None):
        """The status, the body, and the milliseconds that the answer took."""
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        start = time.perf_counter()
        self.connection.request(method, path, body and json.dumps(body), headers)
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text or "null"), (time.perf_counter() - start) * 1e3

    def post(self, path, expected, token=None, **body):
        status, answer, took = self.send("POST", path, body, token)
        if status != expected:
            sys.exit(f"{path}: {status}, not {expected}: {answer}")
        return answer, took

    def last_code(self, phone):
        _, inbox, _ = self.send("GET", f"/dev/inbox.json?phone_number={urllib.parse.quote(phone)}")
        return inbox["messages"][0]["otp_code"]


def wait_until_ready(process, port, log):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if Client(port).send("GET", "/api/health/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    with open(log, encoding="utf-8", errors="replace") as text:
        sys.exit(f"the server does not get ready:\n{text.read()}")


def prepare(client, database, kind, phone):
    """Makes the phone one of this kind."""
    if kind == "unknown":
        return
    client.post("/api/auth/signup", 200, phone_number=phone)
    signed_in, _ = client.post("/api/auth/verify-otp", 200, phone_number=phone, otp_code=client.last_code(phone))
    if kind == "finished":
        client.post("/api/auth/complete-profile", 200, token=signed_in["token"], phone_number=phone, **PROFILE)
    if kind == "disabled":
        with sqlite3.connect(database, timeout=10) as connection:
            connection.execute("UPDATE accounts SET is_active = FALSE WHERE phone = ?", (phone,))


def measure(client, phone):
    """The routes that are open to everybody, each with the milliseconds of its answer."""
    for route in ["signup", "login"]:
        _, took = client.post(f"/api/auth/{route}", 200, phone_number=phone)
        yield route, took
    code = client.last_code(phone)
    wrong = code[:-1] + ("1" if code.endswith("0") else "0")
    _, took = client.post("/api/auth/verify-login", 400, phone_number=phone, otp_code=wrong)
    yield "verify-login", took


def main():
    program, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 250
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    times = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        log, database = os.path.join(folder, "log"), os.path.join(folder, "times.sqlite3")
        with open(log, "wb") as output:
            environment = {**SETTINGS, "BIND_ADDR": f"127.0.0.1:{port}"}
            process = subprocess.Popen(
                [program], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            wait_until_ready(process, port, log)
            client = Client(port)
            for number in range(rounds):
                phones = [(kind, f"+9198765{number * len(KINDS) + place:05}") for place, kind in enumerate(KINDS)]
                for kind, phone in phones:
                    prepare(client, database, kind, phone)
                # Another kind is first in each round, so that no kind profits from its place.
                first = number % len(KINDS)
                for kind, phone in phones[first:] + phones[:first]:
                    for route, took in measure(client, phone):
                        times[route, kind].append(took)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    for (route, kind), taken in times.items():
        taken.sort()
        percentiles = (f"p{share} {taken[(len(taken) - 1) * share // 100]:7.3f}" for share in [5, 25, 50, 75, 95])
        print(f"{route:13} {kind:11} ms: {'  '.join(percentiles)}")


if __name__ == "__main__":
    main()

"""An attacker: many connections and forged addresses, which request codes from the real server and guess them.

    python3 attack.py --program target/debug/loopin-auth --database-url sqlite://attack.sqlite3 [--servers 2] [--seconds 60]

Each scenario restarts the servers on the same database, attacks for this many seconds, stops them, and reads from
`loopin-auth audit` how many codes were sent and how many guesses were judged. The bounds are computed here, from the limits
that the servers are given. Nothing but Python's own library is needed. The exit status is 1 if a bound did not hold.
"""

import argparse
import collections
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS = 50
FORGED = 1_000
PHONES = 2_000
PREFIXES = 40

# The server's defaults, except for the cooldown, which would only slow the attacker down, and the flood control, which
# would refuse requests before they reach the limits that are tested here.
LIMITS = {
    "LIMIT_GUESSES_PER_PHONE_AND_ADDRESS": "10/24h",
    "LIMIT_GUESSES_PER_PHONE": "30/24h",
    "LIMIT_FAILURES_IN_A_ROW": "100",
    "LIMIT_GUESSES_PER_ADDRESS": "30/1h",
    "LIMIT_SENDS_PER_PHONE": "5/1h,10/24h",
    "LIMIT_SENDS_PER_PHONE_AND_ADDRESS": "3/1h,5/24h",
    "LIMIT_REQUESTS_PER_ADDRESS": "20/1h",
    "LIMIT_UNVERIFIED_SENDS_PER_PREFIX": "50/1h",
    "OTP_MAX_ATTEMPTS": "3",
    "OTP_RESEND_SECONDS": "0",
    "GUARD_REQUESTS_PER_SECOND": "0",
}
# Unlimited codes, so that only the limits of guesses apply.
MANY_CODES = {
    "LIMIT_SENDS_PER_PHONE": "1000/1h",
    "LIMIT_SENDS_PER_PHONE_AND_ADDRESS": "1000/1h",
    "LIMIT_REQUESTS_PER_ADDRESS": "1000/1h",
    "LIMIT_UNVERIFIED_SENDS_PER_PREFIX": "1000/1h",
}
SECRETS = {
    "SECRET_KEY": "a secret key of the tests, 32 bytes or more",
    "JWT_SECRET_KEY": "a token secret of the tests, 32 bytes or more",
}


def most(limits, name):
    """What a limit allows within an hour: an attack takes less. Of several the least."""
    return min(int(limit.split("/")[0]) for limit in limits[name].split(","))


class Server:
    """One process of the server."""

    def __init__(self, program, folder, settings):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {**settings, "BIND_ADDR": f"127.0.0.1:{self.port}"}
        self.log = open(os.path.join(folder, f"log-{self.port}"), "wb")
        self.process = subprocess.Popen(
            [program], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def wait_until_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/api/health/ready")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        self.log.flush()
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            sys.exit(f"the server does not get ready:\n{log.read()}")

    def stop(self):
        """Like a process manager, so that the server writes its audit entries first."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()


class Attacker(threading.Thread):
    """One connection. Its work is a generator of (path, phone, address), which gets each answer; a code is guessed where
    the path wants one."""

    def __init__(self, port, work, until):
        super().__init__(daemon=True)
        self.port, self.work, self.until = port, work, until
        self.tried = collections.Counter()
        self.answered = collections.Counter()
        self.connection = None

    def run(self):
        answer = None
        while time.monotonic() < self.until:
            try:
                path, phone, address = self.work.send(answer)
            except StopIteration:
                return
            body = {"phone_number": phone}
            if path.startswith("verify"):
                body["otp_code"] = f"{random.randrange(10_000):04}"
            self.tried[path] += 1
            answer = self.send(path, body, address)
            self.answered[answer] += 1

    def send(self, path, body, address):
        headers = {"Content-Type": "application/json"}
        if address:
            headers["X-Forwarded-For"] = address
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection.request("POST", f"/api/auth/{path}", json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
            return "ok" if answer.status == 200 else json.loads(text)["error"]["code"]
        except (OSError, http.client.HTTPException):
            self.connection = None
            return "no answer"


def forged(number):
    """Addresses of the block for benchmarks (RFC 2544), which no client has."""
    return f"198.18.{number // 250}.{number % 250 + 1}"


def patient(phone, asks):
    """Guesses without end, each from another forged address. One connection asks for a code, and for the next when the last
    one's guesses are used, so that none is wasted; when it is refused, it goes on to ask between the guesses."""
    answer = "otp_not_found"
    while True:
        if asks and answer in ("otp_not_found", "otp_attempts_exhausted", "phone_locked"):
            yield "signup", phone, forged(random.randrange(FORGED))
        answer = yield random.choice(("verify-otp", "verify-login")), phone, forged(random.randrange(FORGED))


def hasty(phone):
    """Resends and guesses without end, each from another forged address."""
    while True:
        for path in ("signup", "verify-otp", "verify-login", "verify-otp"):
            yield path, phone, forged(random.randrange(FORGED))


def spray(phones, address_of):
    """A code for each phone, and three guesses at it."""
    for number, phone in phones:
        yield "signup", phone, address_of(number)
        for _ in range(3):
            yield "verify-otp", phone, address_of(number)


def phone_of(block, number):
    """Mobile numbers of India, in as many prefixes as there are; each block is a scenario's own."""
    return f"+91{90 + block}{10 + number % PREFIXES:02}{100_000 + number:06}"


def scenarios():
    """Name, whether the forged addresses are believed, other limits, and the work of a connection."""
    spread = lambda block, n: ((i, phone_of(block, i)) for i in range(n, PHONES, CONNECTIONS))
    yield "one phone, 1000 addresses", True, {}, lambda n: patient(phone_of(0, 0), n == 0)
    yield "one phone, 1000 addresses, codes without end", True, MANY_CODES, lambda n: hasty(phone_of(1, 1))
    yield "one phone, addresses not believed", False, MANY_CODES, lambda n: hasty(phone_of(2, 2))
    yield "2000 phones, one address", True, {}, lambda n: spray(spread(3, n), lambda i: "203.0.113.1")
    yield "2000 phones, 500 addresses", True, {}, lambda n: spray(spread(4, n), lambda i: f"198.19.{i % 2}.{i // 2 % 250 + 1}")


def bounds(name, believed, limits):
    """The most codes that may go out and the most guesses that may be judged, and why."""
    phones = 1 if name.startswith("one phone") else PHONES
    addresses = {"one": 1, "500": 500}[name.split(", ")[1].split()[0]] if phones > 1 else FORGED if believed else 1
    per_phone_sends = min(
        most(limits, "LIMIT_SENDS_PER_PHONE"), addresses * most(limits, "LIMIT_SENDS_PER_PHONE_AND_ADDRESS")
    )
    sends = {
        "phones": phones * per_phone_sends,
        "addresses": addresses * most(limits, "LIMIT_REQUESTS_PER_ADDRESS"),
        "prefixes": min(phones, PREFIXES) * most(limits, "LIMIT_UNVERIFIED_SENDS_PER_PREFIX"),
    }
    codes = min(sends.values())
    guesses = {
        "codes": codes * most(limits, "OTP_MAX_ATTEMPTS"),
        "phones": phones * most(limits, "LIMIT_GUESSES_PER_PHONE"),
        "phones and addresses": phones * addresses * most(limits, "LIMIT_GUESSES_PER_PHONE_AND_ADDRESS"),
        "addresses": addresses * most(limits, "LIMIT_GUESSES_PER_ADDRESS"),
    }
    return (codes, min(sends, key=sends.get)), (min(guesses.values()), min(guesses, key=guesses.get))


def counted(program, folder, settings, action):
    """How many entries of the audit log are of this kind."""
    command = [program, "audit", "--json", "--action", action, "--limit", "1000000"]
    output = subprocess.run(command, cwd=folder, env=settings, capture_output=True, check=True).stdout
    return len(output.splitlines())


def attack(arguments, folder, name, believed, other_limits, work):
    limits = {**LIMITS, **other_limits}
    settings = {
        **SECRETS,
        **limits,
        "DATABASE_URL": arguments.database_url,
        "TRUSTED_PROXIES": "127.0.0.1/32" if believed else "",
    }
    program = os.path.abspath(arguments.program)
    servers = [Server(program, folder, settings) for _ in range(arguments.servers)]
    try:
        for server in servers:
            server.wait_until_ready()
        # Before it, nothing is known of these phones; of the audit log, only what earlier scenarios did.
        before = {action: counted(program, folder, settings, action) for action in ("code_sent", "wrong_code")}
        began = time.monotonic()
        until = began + arguments.seconds
        attackers = [Attacker(servers[n % len(servers)].port, work(n), until) for n in range(CONNECTIONS)]
        for attacker in attackers:
            attacker.start()
        for attacker in attackers:
            attacker.join()
        took = time.monotonic() - began
    finally:
        for server in servers:
            server.stop()
    after = {action: counted(program, folder, settings, action) for action in before}
    sent, judged = (after[action] - before[action] for action in ("code_sent", "wrong_code"))
    tried = sum((attacker.tried for attacker in attackers), collections.Counter())
    answered = sum((attacker.answered for attacker in attackers), collections.Counter())
    return report(name, limits, believed, took, tried, answered, sent, judged)


def report(name, limits, believed, took, tried, answered, sent, judged):
    (most_codes, codes_by), (most_guesses, guesses_by) = bounds(name, believed, limits)
    print(f"{name}: {sum(tried.values())} requests in {took:.1f} s")
    print("  tried     " + ", ".join(f"{path} {count}" for path, count in sorted(tried.items())))
    print("  answered  " + ", ".join(f"{code} {count}" for code, count in answered.most_common()))
    print(f"  codes     {sent:>5} went out, at most {most_codes} may (the limit of {codes_by})")
    print(f"  guesses   {judged:>5} were wrong and judged, at most {most_guesses} may be (the limit of {guesses_by})")
    errors = []
    if sent > most_codes:
        errors.append("more codes went out than the limits allow")
    if judged > most_guesses:
        errors.append("more guesses were judged than the limits allow")
    # Where every answer came, what was answered is what was judged.
    if not answered["no answer"] and judged != answered["otp_invalid"]:
        errors.append(f"{answered['otp_invalid']} answers say that a code is wrong, and {judged} entries")
    if not judged:
        errors.append("nothing was judged: this was no attack")
    for code in ("internal", "timeout", "database_unavailable", "no answer"):
        if answered[code]:
            errors.append(f"{answered[code]} times {code}")
    for error in errors:
        print(f"  !! {error}")
    sys.stdout.flush()
    return not errors


def main():
    parser = argparse.ArgumentParser(description="Attacks a server, and says how far it got.")
    parser.add_argument("--program", required=True, help="the server")
    parser.add_argument("--database-url", required=True, help="an empty database, or a migrated one")
    parser.add_argument("--servers", type=int, default=1, help="how many of them share it")
    parser.add_argument("--seconds", type=float, default=60, help="how long each attack may take")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = [attack(arguments, folder, *scenario) for scenario in scenarios()]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()

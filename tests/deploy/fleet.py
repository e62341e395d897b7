#!/usr/bin/env python3
"""Runs the fleet of deploy/ without containers: Caddy, two servers, PgBouncer and PostgreSQL, with the configuration and the
settings of deploy/. Only addresses and folders are replaced. A user signs in through it while one copy after the other stops.

usage: fleet.py <server binary> <scratch folder>
"""

import glob
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml
from files import GIVEN, check, given, read

BINARY, SCRATCH = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
PATIENCE_SECONDS = 30
PHONE = "+916205829376"
STOPPED = []


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def log_of(name):
    with open(os.path.join(SCRATCH, f"{name}.log"), encoding="utf-8", errors="replace") as log:
        return log.read()[-3000:]


def until(what, name, happens):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if happens():
            return
        time.sleep(0.05)
    raise SystemExit(f"{what} did not happen:\n{log_of(name)}")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def unprivileged(command):
    """PostgreSQL and PgBouncer refuse to run as root."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", *command]


def start(name, command, settings):
    with open(os.path.join(SCRATCH, f"{name}.log"), "ab") as log:
        child = subprocess.Popen(
            command, cwd=SCRATCH, env={"PATH": os.environ["PATH"]} | settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    STOPPED.append(child)
    return child


def stop_all():
    # In the opposite order, so that nobody waits for a program that is gone. PostgreSQL ends at once by SIGINT.
    for child in reversed(STOPPED):
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    for child in reversed(STOPPED):
        child.wait(PATIENCE_SECONDS)


def write(name, text):
    path = os.path.join(SCRATCH, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def postgres():
    """PostgreSQL as its image sets it up: a role with a password, and its database. Returns the port."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    folder, password = os.path.join(SCRATCH, "postgres"), write("password", GIVEN["POSTGRES_PASSWORD"])
    os.mkdir(folder)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    initdb = [f"{programs}/initdb", "-D", f"{folder}/db", "-U", "loopin", f"--pwfile={password}", "--no-sync"]
    initdb += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(unprivileged(initdb), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    port = free_port()
    options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    command = [f"{programs}/postgres", "-D", f"{folder}/db", "-p", str(port)]
    start("postgres", unprivileged(command + [part for option in options for part in ("-c", option)]), {})
    until("PostgreSQL listens", "postgres", lambda: listens(port))
    make = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "loopin", "-d", "postgres", "-q", "-c", "CREATE DATABASE loopin"]
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": GIVEN["POSTGRES_PASSWORD"]}
    until("the database is made", "postgres", lambda: subprocess.run(make, env=environment, check=False).returncode == 0)
    return port


def pgbouncer(compose, database_port):
    port = free_port()
    users = write("userlist.txt", compose["configs"]["pgbouncer_users"]["content"])
    text = read("deploy/pgbouncer.ini")
    for ours, here in [
        ("host=db port=5432", f"host=127.0.0.1 port={database_port}"),
        ("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1"),
        ("listen_port = 6432", f"listen_port = {port}"),
        ("/etc/pgbouncer/userlist.txt", users),
    ]:
        check(f"deploy/pgbouncer.ini says {ours}", ours in text)
        text = text.replace(ours, here)
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    start("pgbouncer", unprivileged([program, write("pgbouncer.ini", text)]), {})
    until("PgBouncer listens", "pgbouncer", lambda: listens(port))
    return port


class Twilio(http.server.BaseHTTPRequestHandler):
    """Takes every message, and keeps its text."""

    texts = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.texts.append(urllib.parse.parse_qs(body)["Body"][0])
        answer = json.dumps({"sid": f"SM{len(self.texts):032}", "status": "queued"}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def server(name, port, compose, pooler_port, twilio_port, https_port):
    """A copy with the settings of deploy/compose.yml."""
    settings = {name: value for name, value in GIVEN.items() if name.startswith("TWILIO_")}
    settings |= compose["services"][name]["environment"]
    settings |= {
        "BIND_ADDR": f"127.0.0.1:{port}",
        "METRICS_ADDR": f"127.0.0.1:{free_port()}",
        "PUBLIC_BASE_URL": f"https://localhost:{https_port}",
        "DATABASE_URL": settings["DATABASE_URL"].replace("pgbouncer:6432", f"127.0.0.1:{pooler_port}"),
        "TRUSTED_PROXIES": "127.0.0.1",
        "TWILIO_API_BASE_URL": f"http://127.0.0.1:{twilio_port}",
        "OTP_LENGTH": "6",
    }
    return start(name, [BINARY], settings)


def caddy(ports, http_port, https_port):
    settings = {
        "AUTH_HOST": "localhost",
        "UPSTREAMS": " ".join(f"127.0.0.1:{port}" for port in ports),
        "HTTP_PORT": str(http_port),
        "HTTPS_PORT": str(https_port),
        "HOME": SCRATCH,
        "XDG_DATA_HOME": os.path.join(SCRATCH, "caddy"),
    }
    config = write("Caddyfile", read("deploy/Caddyfile"))
    start("caddy", ["caddy", "run", "--config", config, "--adapter", "caddyfile"], settings)


def request(base, path, body=None, token=None, claimed="203.0.113.7"):
    """Status and body. The client claims an address, as a liar would."""
    # The certificate is of an authority that Caddy made for this run.
    context = ssl.create_default_context(cafile=os.path.join(SCRATCH, "caddy/caddy/pki/authorities/local/root.crt"))
    headers = {"Content-Type": "application/json", "X-Forwarded-For": claimed}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(base + path, data=data, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(asked, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def answers(base):
    try:
        return request(base, "/api/health/ready")[0] == 200
    except OSError:
        return False


def expect(status, answer):
    check(f"{answer} has the status {status}", answer[0] == status)
    return answer[1]


def main():
    compose = yaml.safe_load(given(read("deploy/compose.yml")))
    twilio = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Twilio)
    threading.Thread(target=twilio.serve_forever, daemon=True).start()
    pooler_port = pgbouncer(compose, postgres())
    http_port, https_port = free_port(), free_port()
    ports = {"app-1": free_port(), "app-2": free_port()}

    def copy(name):
        return server(name, ports[name], compose, pooler_port, twilio.server_port, https_port)

    # Both at once, on an empty database.
    copies = {name: copy(name) for name in ports}
    caddy(ports.values(), http_port, https_port)
    base = f"https://localhost:{https_port}"
    for name, port in ports.items():
        until(f"{name} is ready", name, lambda port=port: listens(port))
    until("the fleet is ready", "caddy", lambda: answers(base))

    expect(200, request(base, "/api/auth/signup", {"phone_number": PHONE}))
    code = re.search(r"\b\d{6}\b", Twilio.texts[-1])[0]
    signed_in = expect(200, request(base, "/api/auth/verify-otp", {"phone_number": PHONE, "otp_code": code}))
    token = signed_in["token"]
    sessions = expect(200, request(base, "/api/auth/sessions", token=token))
    addresses = [session["address"] for session in sessions["data"]]
    check(f"the client's own address counts, not the one that it claims: {addresses}", addresses == ["127.0.0.1"])

    # An update: one copy stops politely and a new one takes its place, then the other.
    asked = []
    is_over = threading.Event()

    def load():
        while not is_over.is_set():
            asked.append(request(base, "/api/auth/profile", token=token)[0])
            # At most 50 a second. A copy refuses more than GUARD_REQUESTS_PER_SECOND, 100, of one address.
            time.sleep(0.02)

    thread = threading.Thread(target=load)
    thread.start()
    for name, port in ports.items():
        copies[name].terminate()
        copies[name].wait(PATIENCE_SECONDS)
        copies[name] = copy(name)
        until(f"{name} is ready again", name, lambda port=port: listens(port))
        # Caddy looks every two seconds.
        time.sleep(2.5)
    is_over.set()
    thread.join()
    check(f"no request failed during the update: {sorted(set(asked))}", set(asked) == {200})

    for child in copies.values():
        child.terminate()
    for child in copies.values():
        child.wait(PATIENCE_SECONDS)
    refused = expect(503, request(base, "/api/auth/login", {"phone_number": PHONE}))
    check(f"without a copy the answer is one that apps know: {refused}", refused["error"]["code"] in ("database_unavailable", "timeout"))
    print(f"deploy/: the fleet starts, signs in, and is updated; {len(asked)} requests meanwhile, none failed")


try:
    main()
finally:
    stop_all()

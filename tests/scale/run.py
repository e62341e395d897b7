#!/usr/bin/env python3
"""How the console grows: the time of every list, search, dashboard and phone page with 1,000 and with 1,000,000 rows, side by side.

usage: tests/scale/run.py <server binary> [number of rows, 1000000]

Needs PostgreSQL's server programs and psql, and some 6 GB below the folder for temporary files. It starts a PostgreSQL of its own, fills
two databases (fill.sql), starts a server on each, signs in, and asks for every page 20 times, in turns. It prints medians in
milliseconds and the ratio. It decides nothing: a time depends on the machine. A release build tells more than a debug build.
"""

import glob
import html
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

TIMES = 20
SMALL = 1000
PASSWORD = "copper-kettle-morning-71"
HERE = os.path.dirname(os.path.abspath(__file__))

def pages():
    with open(os.path.join(HERE, "pages.txt"), encoding="utf-8") as file:
        return [tuple(part.strip() for part in line.rsplit("  ", 1)) for line in file if not line.startswith("#")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Indexes that no constraint needs go before the filling and come back after it, which is several times faster.
WITHOUT_INDEXES = """
CREATE TABLE scale_indexes AS SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname NOT IN (SELECT conname FROM pg_constraint)
    AND indexname NOT IN (SELECT relname FROM pg_class JOIN pg_index ON pg_class.oid = indexrelid WHERE indisunique);
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT indexname FROM scale_indexes LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
END $$;
"""
WITH_INDEXES = """
DO $$ DECLARE definition text; BEGIN
    FOR definition IN SELECT indexdef FROM scale_indexes LOOP EXECUTE definition; END LOOP;
END $$;
DROP TABLE scale_indexes;
VACUUM ANALYZE;
"""


class Postgres:
    """A PostgreSQL in a new folder, which goes when this ends."""

    def __enter__(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        self.bin = os.path.dirname(programs[-1] if programs else shutil.which("initdb"))
        self.folder = tempfile.mkdtemp(prefix="loopin-auth-scale-")
        self.port = free_port()
        self.run_as = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self.run_as = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        data = os.path.join(self.folder, "data")
        self.call("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        # Nothing here has to outlive a crash, and the filling is faster without.
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "512MB", "maintenance_work_mem": "256MB",
            "max_wal_size": "8GB", "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off", "jit": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(
            [*self.run_as, os.path.join(self.bin, "postgres"), "-D", data, *options],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.folder, "log"), "w"))
        for _ in range(100):
            if subprocess.run(["psql", self.url("postgres"), "-qc", "SELECT 1"], capture_output=True).returncode == 0:
                return self
            time.sleep(0.1)
        raise SystemExit("PostgreSQL does not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, program, *arguments):
        subprocess.run([*self.run_as, os.path.join(self.bin, program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def url(self, database):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def execute(self, database, sql):
        subprocess.run(["psql", self.url(database), "-qX", "-v", "ON_ERROR_STOP=1", "-o", os.devnull], input=sql, text=True, check=True)


class Console:
    """A server on a database of this many rows, and a signed-in admin."""

    def __init__(self, binary, postgres, rows):
        database = f"rows_{rows}"
        postgres.execute("postgres", f"CREATE DATABASE {database}")
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="loopin-auth-scale-server-")
        environment = {
            "PATH": os.environ["PATH"], "DATABASE_URL": postgres.url(database), "BIND_ADDR": f"127.0.0.1:{self.port}",
            "GUARD_REQUESTS_PER_SECOND": "0", "STAFF_SECOND_FACTOR": "optional",
            "SECRET_KEY": "a secret key of the bench, 32 bytes or more", "JWT_SECRET_KEY": "a token secret of the bench, 32 bytes or more",
        }
        run = lambda *command, **more: subprocess.run(
            [binary, *command], env={**environment, **more}, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        run("migrate")
        began = time.monotonic()
        with open(os.path.join(HERE, "fill.sql"), encoding="utf-8") as file:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            fill = file.read().replace("{now}", now)
        for name, times in (("leads", 1), ("accounts", 1), ("sessions", 1), ("messages", 3)):
            fill = fill.replace("{%s}" % name, str(times * rows))
        postgres.execute(database, WITHOUT_INDEXES + fill + WITH_INDEXES)
        print(f"{rows} rows: filled in {time.monotonic() - began:.0f} s", flush=True)
        run("createsuperuser", "--noinput", "--username", "scale", LOOPIN_SUPERUSER_PASSWORD=PASSWORD)
        self.server = subprocess.Popen([binary], env=environment, cwd=self.folder, stdout=subprocess.DEVNULL)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.cookie = ""
        self.wait()
        self.sign_in()

    def wait(self):
        for _ in range(600):
            try:
                if self.ask("GET", "/api/health/ready")[0] == 200:
                    return
            except OSError:
                self.connection.close()
            time.sleep(0.1)
        raise SystemExit("the server does not start")

    def ask(self, method, path, form=None):
        headers = {"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin", "Origin": f"http://127.0.0.1:{self.port}"}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # The server closes a connection that is idle for long, as while the other database is filled.
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = cookie.split(";")[0]
        return answer.status, text

    def sign_in(self):
        _, page = self.ask("GET", "/admin/sign-in")
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        status, text = self.ask("POST", "/admin/sign-in", {**hidden, "username": "scale", "password": PASSWORD})
        if status != 303 or self.ask("GET", "/admin")[0] != 200:
            raise SystemExit(f"the sign-in failed: {status} {text[:300]}")

    def path(self, template):
        """The path with the first id, or the second page, of the list before it."""
        if "{" not in template:
            return template
        base = template.split("{")[0].rstrip("/")
        _, page = self.ask("GET", base)
        if "{next}" in template:
            found = re.search(r'href="([^"]*[?&;]cursor=[^"]*)"', page)
            query = html.unescape(found.group(1)).split("?", 1)[1] if found else ""
            return f"{base}?{query}"
        found = re.search(re.escape(base) + r"/([0-9a-f]{8}-[0-9a-f-]{27})", page)
        return template.replace("{id}", found.group(1) if found else "none")

    def time(self, path):
        began = time.perf_counter()
        status, _ = self.ask("GET", path)
        return status, (time.perf_counter() - began) * 1000

    def stop(self):
        self.server.terminate()
        self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(small, large):
    widest = max(len(name) for name, _ in pages())
    print(f"{'':{widest}}  {SMALL:>10}  {'large':>10}  ratio   (median of {TIMES}, milliseconds)")
    for name, template in pages():
        paths = [console.path(template) for console in (small, large)]
        times, statuses = ([], []), set()
        for _ in range(TIMES):
            for console, path, kept in zip((small, large), paths, times):
                status, took = console.time(path)
                statuses.add(status)
                kept.append(took)
        one, many = (statistics.median(kept) for kept in times)
        note = "" if statuses == {200} else f"  status {statuses}"
        note += "  more than twice" if many > 2 * one else ""
        print(f"{name:{widest}}  {one:10.1f}  {many:10.1f}  {many / one:5.1f}{note}", flush=True)


def main():
    binary = os.path.abspath(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    consoles = []
    with Postgres() as postgres:
        try:
            for size in (SMALL, rows):
                consoles.append(Console(binary, postgres, size))
            measure(*consoles)
        finally:
            for console in consoles:
                console.stop()


if __name__ == "__main__":
    main()

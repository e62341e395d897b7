"""Two copies of the server on one PostgreSQL behind PgBouncer. Each of the four can be killed with -9 and started again."""

import glob
import http.client
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

# Below the ports that the kernel gives to clients: a port must still be free when its program comes back.
FIRST_PORT, LAST_PORT = 20000, 30000

SETTINGS = {
    "SECRET_KEY": "a secret key of the chaos run, 32 bytes or more",
    "JWT_SECRET_KEY": "a token secret of the chaos run, 32 bytes or more",
    "TWILIO_TEST_MODE": "true",
    "DATABASE_POOLER": "transaction",
    # Every user has an address of its own in X-Forwarded-For, so limits are charged and refuse nothing.
    "TRUSTED_PROXIES": "127.0.0.1",
    "OTP_RESEND_SECONDS": "0",
    "LIMIT_UNVERIFIED_SENDS_PER_PREFIX": "1000/1h",
    "NO_COLOR": "1",
}


def free_ports(number):
    found = []
    for port in range(FIRST_PORT + os.getpid() % 5000, LAST_PORT):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                continue
        if len(found) == number:
            return found
    raise SystemExit("no port is free")


def as_user(name):
    """PostgreSQL and PgBouncer do not run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid", name, "--regid", "nogroup" if name == "nobody" else name, "--clear-groups"]


def wait_until(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds} seconds")
        time.sleep(0.02)


class Program:
    """A program that can be killed and started again."""

    def __init__(self, name, command, folder, environment=None):
        self.name, self.command, self.folder = name, command, folder
        self.environment = environment
        self.process = None
        # How often it was killed. A connection to an earlier process is not used any more.
        self.kills = 0

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.kills += 1
        self.process.kill()
        self.process.wait()

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()


def children(process):
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat, encoding="utf-8", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[1]) == process:
            found.append(int(stat.split("/")[2]))
    return found


class Postgres(Program):
    """Its backends are killed too: those that are left would finish what they do, and keep a new server from starting."""

    def kill(self):
        backends = children(self.process.pid)
        super().kill()
        for backend in backends:
            try:
                os.kill(backend, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until("the backends end", lambda: not any(os.path.exists(f"/proc/{backend}") for backend in backends))


class Fleet:
    """Everything of it is in a folder that is removed at the end."""

    def __init__(self, binary, commits, server_login_retry):
        self.folder = tempfile.mkdtemp(prefix="loopin-auth-chaos-")
        os.chmod(self.folder, 0o755)
        self.ports = dict(zip(("postgres", "pgbouncer", "copy 1", "copy 2"), free_ports(4)))
        self.postgres = self.make_postgres(commits)
        self.pgbouncer = self.make_pgbouncer(server_login_retry)
        self.copies = [self.make_copy(binary, name) for name in ("copy 1", "copy 2")]
        self.programs = [self.postgres, self.pgbouncer, *self.copies]
        self.stopping = threading.Event()

    def subfolder(self, name, owner=None):
        path = os.path.join(self.folder, name.replace(" ", "-"))
        os.mkdir(path)
        if owner and os.getuid() == 0:
            shutil.chown(path, owner)
        return path

    def make_postgres(self, commits):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        found = programs[-1] if programs else shutil.which("initdb")
        if not found:
            raise SystemExit("PostgreSQL's server programs are not installed")
        self.programs_folder = os.path.dirname(found)
        folder, run_as = self.subfolder("postgres", "postgres"), as_user("postgres")
        data = os.path.join(folder, "data")
        initdb = [*run_as, found, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(initdb, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        # The operating system outlives a killed program with what the program wrote, so nothing has to reach the disk.
        settings = {
            "port": self.ports["postgres"], "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "synchronous_commit": commits, "max_connections": 60, "shared_buffers": "64MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Postgres("postgres", [*run_as, os.path.join(self.programs_folder, "postgres"), "-D", data, *options], folder)

    def make_pgbouncer(self, server_login_retry):
        found = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        if not os.path.exists(found):
            raise SystemExit("pgbouncer is not installed")
        folder = self.subfolder("pgbouncer", "nobody")
        with open(os.path.join(folder, "pgbouncer.ini"), "w", encoding="utf-8") as file:
            file.write(
                f"[databases]\n* = host=127.0.0.1 port={self.ports['postgres']} user=postgres\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.ports['pgbouncer']}\nunix_socket_dir =\n"
                f"auth_type = any\npool_mode = transaction\ndefault_pool_size = 6\nserver_login_retry = {server_login_retry}\n")
        os.chmod(file.name, 0o644)
        return Program("pgbouncer", [*as_user("nobody"), found, "-q", file.name], folder)

    def make_copy(self, binary, name):
        database = f"postgres://postgres@127.0.0.1:{self.ports['pgbouncer']}/chaos?sslmode=disable"
        environment = {**SETTINGS, "DATABASE_URL": database, "BIND_ADDR": f"127.0.0.1:{self.ports[name]}"}
        return Program(name, [binary], self.subfolder(name), environment)

    def listens(self, name):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def is_ready(self, copy):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[copy.name], timeout=5)
        try:
            connection.request("GET", "/api/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def psql(self, sql, database="chaos"):
        """Rows of texts, from PostgreSQL itself."""
        url = f"postgres://postgres@127.0.0.1:{self.ports['postgres']}/{database}?sslmode=disable"
        command = [os.path.join(self.programs_folder, "psql"), url, "-qAtX", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [line.split("\t") for line in output.splitlines()]

    def answers_sql(self):
        try:
            return self.psql("SELECT 1", "postgres") == [["1"]]
        except subprocess.CalledProcessError:
            return False

    def __enter__(self):
        try:
            self.postgres.start()
            wait_until("PostgreSQL", self.answers_sql)
            self.psql("CREATE DATABASE chaos", "postgres")
            self.pgbouncer.start()
            wait_until("PgBouncer", lambda: self.listens("pgbouncer"))
            for copy in self.copies:
                copy.start()
            for copy in self.copies:
                wait_until(copy.name, lambda copy=copy: self.is_ready(copy))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            if program.process and program.process.poll() is None:
                program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

"""The programs under test, each on a free port, and a client for them."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE_SECONDS = 30

# A proxy of the environment is not for addresses of this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(method, url, token=None, body=None):
    """The status, and the body read as JSON. An answer of 400 or above is an answer too."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with DIRECT.open(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            text = refused.read()
        try:
            return refused.code, json.loads(text)
        except ValueError:
            return refused.code, {"not JSON": text[:200].decode(errors="replace")}


class Program:
    """A child with nothing of our environment but the path, and its log in a file."""

    def __init__(self, name, command, folder, health, settings):
        self.name, self.command, self.folder, self.settings = name, command, folder, settings
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.health = health
        self.child = None
        self.log = os.path.join(folder, f"{name.replace(' ', '-')}.log")

    def environment(self):
        own = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
        return own | self.settings | self.listening()

    def listening(self):
        return {"PORT": str(self.port)}

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and self.child.poll() is None:
            try:
                if request("GET", self.base + self.health)[0] == 200:
                    return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise RuntimeError(f"{self.name} did not start:\n{log.read()[-3000:]}")

    def stop(self):
        if self.child is not None:
            self.child.terminate()
            self.child.wait(PATIENCE_SECONDS)
            self.child = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Auth(Program):
    """The server, in test mode, on SQLite in its folder."""

    def __init__(self, binary, folder, settings):
        os.makedirs(folder, exist_ok=True)
        super().__init__("loopin-auth", [binary], folder, "/api/health/ready", settings)

    def listening(self):
        return {"BIND_ADDR": f"127.0.0.1:{self.port}"}

    def restart(self, settings):
        """The same database and address, with other keys."""
        self.stop()
        self.settings = settings
        return self.start()

    def sign_in_by_phone(self, phone):
        """The tokens of an account that has a phone and nothing else."""
        expect(200, request("POST", f"{self.base}/api/auth/signup", body={"phone_number": phone}))
        query = urllib.parse.urlencode({"phone_number": phone})
        inbox = expect(200, request("GET", f"{self.base}/dev/inbox.json?{query}"))
        code = {"phone_number": phone, "otp_code": inbox["messages"][0]["otp_code"]}
        answer = expect(200, request("POST", f"{self.base}/api/auth/verify-otp/", body=code))
        return {"access": answer["token"], "refresh": answer["data"]["refresh_token"]}

    def register(self, username):
        """The tokens of an account that has a name, an e-mail address and a password."""
        body = {"username": username, "email": f"{username}@example.com", "password": "amber-kite-4821"}
        return expect(201, request("POST", f"{self.base}/api/auth/register/", body=body))

    def refresh(self, pair):
        return expect(200, request("POST", f"{self.base}/api/token/refresh/", body={"refresh": pair["refresh"]}))


def expect(status, answer):
    if answer[0] != status:
        raise RuntimeError(f"the answer is {answer}, and {status} was expected")
    return answer[1]

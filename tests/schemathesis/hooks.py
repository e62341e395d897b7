"""What schemathesis cannot know from the document: who is asking, the code of a message, and the envelope."""

import atexit
import itertools
import os
import re
import subprocess
import sys
import urllib.parse
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

import schemathesis
from processes import request, expect
from schemathesis.generation.meta import TestPhase

WHO, SERVER = os.environ["WHO"], os.environ["SERVER"]
PASSWORD = "wistful-otter-71"
PROFILE = {
    "name": "Gaurav Kumar",
    "birth_date": "1995-01-01",
    "gender": "male",
    "event_interests": [1, 2],
    "profile_pictures": ["https://example.com/pic1.jpg"],
}

# Every round has its own accounts.
numbers = itertools.count(1 + 1000 * int(os.environ["ROUND"]))


# ---- Who is asking ----


def newest_code(phone):
    """The code that was last sent to this phone, if there is one, and if it is a phone."""
    query = urllib.parse.urlencode({"phone_number": phone})
    status, inbox = request("GET", f"{SERVER}/dev/inbox.json?{query}")
    messages = inbox["messages"] if status == 200 else []
    return messages[0]["otp_code"] if messages else None


def a_person():
    """The token of a new account with a finished profile."""
    phone = f"+9198{next(numbers):08}"
    expect(200, request("POST", f"{SERVER}/api/auth/signup", body={"phone_number": phone}))
    code = {"phone_number": phone, "otp_code": newest_code(phone)}
    token = expect(200, request("POST", f"{SERVER}/api/auth/verify-otp", body=code))["token"]
    expect(200, request("POST", f"{SERVER}/api/auth/complete-profile", token, PROFILE))
    return token


def an_admin():
    """The token of a new admin: a session with a password, as the contract wants it for rights."""
    username = f"admin-{next(numbers)}"
    command = [os.environ["SERVER_BINARY"], "createsuperuser", "--noinput", "--username", username]
    settings = {"PATH": os.environ["PATH"], "LOOPIN_SUPERUSER_PASSWORD": PASSWORD}
    folder = os.environ["SERVER_FOLDER"]
    subprocess.run(command, cwd=folder, env=settings, check=True, capture_output=True, timeout=60)
    body = {"username": username, "password": PASSWORD}
    return expect(200, request("POST", f"{SERVER}/api/token", body=body))["access"]


class Wallet:
    """The token in use. Some operations end sessions and accounts; then the next token is a new account's."""

    def __init__(self, open_account):
        self.open_account = open_account
        self.token = None
        self.is_sure = False

    def get(self):
        if self.token is None or not (self.is_sure or self.is_live()):
            self.token = self.open_account()
        self.is_sure = True
        return self.token

    def is_live(self):
        return request("GET", f"{SERVER}/api/auth/profile", self.token)[0] == 200


class Chain:
    """No token, until a chain of linked requests has signed a user in."""

    def __init__(self):
        self.token = None

    def get(self):
        return self.token


def a_key():
    """The API key of another service."""
    command = [os.environ["SERVER_BINARY"], "api-keys", "create", "--name", f"service-{os.getpid()}"]
    command += ["--scope", "verifications", "--scope", "introspect"]
    settings = {"PATH": os.environ["PATH"]}
    made = subprocess.run(
        command, cwd=os.environ["SERVER_FOLDER"], env=settings, check=True, capture_output=True, text=True, timeout=60
    )
    return next(line for line in made.stdout.splitlines() if line.startswith("lak_"))


# Whoever asks: a user has none. A key ends only by a command.
KEY = None if WHO == "nobody" else a_key()

WALLET = {"nobody": Chain, "person": lambda: Wallet(a_person), "admin": lambda: Wallet(an_admin)}[WHO]()


def is_chained(case):
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, context):
        wants_key = any("ApiKey" in scheme for scheme in case.operation.definition.raw.get("security", []))
        return KEY if wants_key else WALLET.get()

    def set(self, case, token, context):
        if token is not None:
            case.headers["Authorization"] = f"Bearer {token}"


# ---- What one request tells the next ----

asked_for = {"phone": None}
succeeded = set()


def one_of(count, value):
    """A small number from what was generated: so phones and names come again, as they do in life."""
    return zlib.crc32(repr(value).encode()) % count


# A chain that begins with a phone that no country has ends where it begins. In chains these members are what a person
# could have written, unless a link brought them; the other phases send them as they were generated.
PLAUSIBLE = {
    "phone_number": lambda value: f"+91981000{one_of(40, value):04}",
    "username": lambda value: f"walker-{one_of(500, value)}",
    "email": lambda value: f"walker-{one_of(500, value)}@example.com",
    "password": lambda value: PASSWORD,
    "password2": lambda value: PASSWORD,
    "new_password": lambda value: PASSWORD,
    "channel": lambda value: "sms",
    **{name: lambda value, good=good: good for name, good in PROFILE.items()},
}
IS_PLAUSIBLE = re.compile(r"\+91981000\d{4}|\+9198\d{8}|walker-\d+(@example\.com)?")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Gives links their bodies. The document keeps them under a name of its own, because openapi-generator refuses a
    document that has them where OpenAPI wants them."""
    operations = (operation for item in raw_schema["paths"].values() for operation in item.values())
    answers = (answer for operation in operations for answer in operation["responses"].values())
    for link in (link for answer in answers for link in answer.get("links", {}).values()):
        if "x-requestBody" in link:
            link["requestBody"] = link.pop("x-requestBody")


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes the body of a step of a chain plausible. The code is the one that was sent: no link can know it."""
    if not is_chained(case) or case.meta.generation.mode.is_negative or not isinstance(case.body, dict):
        return
    body = case.body
    if case.operation.definition.raw["operationId"] == "login" and "phone_number" in body:
        body.pop("username", None)
        body.pop("password", None)
    if case.operation.definition.raw["operationId"] in {"completeProfile", "changeProfile"}:
        body.pop("phone_number", None)
    for member, value in body.items():
        if member in PLAUSIBLE and not IS_PLAUSIBLE.fullmatch(str(value)):
            body[member] = PLAUSIBLE[member](value)
    if "otp_code" in body:
        code = newest_code(str(body.get("phone_number", asked_for["phone"])))
        if code is not None:
            body["otp_code"] = code


@schemathesis.hook
def after_call(context, case, response):
    """Keeps what an answer hands out, and notes that what changes something may have ended the session."""
    if response.status_code < 300:
        succeeded.add(case.operation.label)
    if response.status_code >= 300 or case.method.upper() == "GET" or not response.content:
        return
    WALLET.is_sure = False
    answer = response.json()
    data = answer.get("data")
    told = data if isinstance(data, dict) else answer
    if "delivery_id" in told:
        asked_for["phone"] = told["phone_number"]
    if isinstance(WALLET, Chain) and is_chained(case):
        WALLET.token = answer.get("token") or answer.get("access") or WALLET.token


@atexit.register
def say_what_succeeded():
    """For run.py: an operation that only ever refused was not tried."""
    with open("succeeded.txt", "a", encoding="utf-8") as report:
        report.writelines(f"{label}\n" for label in sorted(succeeded))


# ---- The envelope ----


@schemathesis.check
def every_failure_is_one_that_the_document_names(ctx, response, case):
    """Status and `error.code` together, and the members that every failure has."""
    if response.status_code < 400:
        return
    answer = response.json()
    assert (answer["success"], answer["data"], answer["token"]) == (False, None, None), "an envelope"
    assert answer["message"], "a sentence for a person"
    assert response.headers.get("x-request-id"), "a name in the log"
    code = answer["error"]["code"]
    wait = answer["error"].get("retry_after")
    assert response.headers.get("retry-after") == (None if wait is None else [str(wait)]), "one time to wait"
    declared = case.operation.definition.raw["responses"].get(str(response.status_code))
    if declared is not None:
        codes = list(declared["content"]["application/json"]["examples"])
        assert code in codes, f"{code} is none of {codes}"

"""The server under test, and what each check does with it."""

import base64
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from processes import Auth, expect, request

BINARY, SCRATCH = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
ENTITY, TEMPLATE = "1101000000000000009", "1107000000000000001"
TEXTS = {
    "sms": "Your {product} code is {code}, valid for {minutes} min.",
    "call": "{code}",
    "whatsapp": "{code}",
    "voice": "en-IN",
    "dlt": {"sms": TEMPLATE},
}


def secret():
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def check(name, found, expected):
    if found != expected:
        raise SystemExit(f"{name}: {found!r}, and {expected!r} was expected")


PHONES = (f"+9198765{number:05}" for number in range(43210, 44000))


def sign_up(server, phone):
    return request("POST", f"{server.base}/api/auth/signup", body={"phone_number": phone})


def delivery(server, delivery_id):
    """The status of a delivery, and its reason."""
    answer = expect(200, request("GET", f"{server.base}/api/auth/deliveries/{delivery_id}"))
    return answer["status"], answer.get("reason")


def verify(server, phone, text):
    code = re.search(r"\b[0-9]{4,8}\b", text)[0]
    return request("POST", f"{server.base}/api/auth/verify-otp/", body={"phone_number": phone, "otp_code": code})


def server_before(name, key, settings=None):
    """A server that sends by a webhook, not started yet, and the folder of its texts."""
    folder = os.path.join(SCRATCH, f"server-{name}")
    texts = os.path.join(folder, "texts")
    os.makedirs(texts)
    with open(os.path.join(texts, "en.json"), "w", encoding="utf-8") as file:
        json.dump(TEXTS, file)
    return Auth(BINARY, folder, {
        "SMS_PROVIDERS": "*=webhook",
        # Two secrets: the receiver knows the older one only.
        "SMS_WEBHOOK_SECRET": f"{secret()} {key}",
        "HOOKS_ALLOW_PRIVATE_NETWORKS": "true",
        "SMS_TEXTS_DIR": texts,
        "SMS_DLT_ENTITY_ID": ENTITY,
        "LIMIT_REQUESTS_PER_ADDRESS": "100/1h",
    } | (settings or {}))

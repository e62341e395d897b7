"""Requests that are signed as Standard Webhooks says, and what a receiver of them must refuse."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request

from processes import DIRECT


def secret():
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


def signature(key, message_id, timestamp, body):
    signed = f"{message_id}.{timestamp}.".encode() + body
    key = base64.b64decode(key.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def post(url, body, headers):
    question = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with DIRECT.open(question, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def check(name, found, expected):
    if found != expected:
        raise SystemExit(f"{name}: {found}, and {expected} was expected")


def check_forged(name, receiver, key, body):
    """Every change of a signed request is refused."""
    now = int(time.time())

    def status(body_sent=body, **changes):
        given = {"message_id": "id", "timestamp": now, "signed_at": now, "key": key, "signature": None} | changes
        made = signature(given["key"], "id", given["signed_at"], body)
        headers = {
            "webhook-id": given["message_id"],
            "webhook-timestamp": str(given["timestamp"]),
            "webhook-signature": made if given["signature"] is None else given["signature"],
        }
        return post(receiver.base, body_sent, headers)[0]

    check(f"{name}, signed", status(), 200)
    check(f"{name}, with another signature beside", status(signature=f"v1,AAAA {signature(key, 'id', now, body)}"), 200)
    for change, given in {
        "another secret": {"key": secret()},
        "another body": {"body_sent": body + b" "},
        "another id": {"message_id": "other"},
        "another time": {"timestamp": now + 1},
        "an old time": {"timestamp": now - 400, "signed_at": now - 400},
        "a time to come": {"timestamp": now + 400, "signed_at": now + 400},
        "no time": {"timestamp": ""},
        "no signature": {"signature": ""},
    }.items():
        check(f"{name}, {change}", status(**given), 401)

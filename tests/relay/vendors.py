"""The vendors' own libraries against the server: they take what it signs, and it takes what they sign."""

import hashlib
import json
import time
import uuid
from datetime import datetime, timezone

import jwt
import standardwebhooks.webhooks
import svix.webhooks
from vonage_jwt import verify_signature

from processes import expect
from server import PHONES, check, delivery, secret, server_before, sign_up
from stubs import Stub, send

# Both have the same methods.
LIBRARIES = {"standardwebhooks": standardwebhooks.webhooks.Webhook, "svix": svix.webhooks.Webhook}


def signed_headers(key, message_id, timestamp, body, library="standardwebhooks"):
    """The headers of a request that a library signs."""
    at = datetime.fromtimestamp(timestamp, timezone.utc)
    signature = LIBRARIES[library](key).sign(message_id, at, body.decode())
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


class Vonage:
    """Vonage's API, and its reports: a JWT in `Authorization` whose `payload_hash` is of the body."""

    SECRET = "the signature secret of the tests, of a good length"

    def __init__(self):
        self.ids = []
        self.stub = Stub((202, self.accept))

    def accept(self):
        self.ids.append(str(uuid.uuid4()))
        return {"message_uuid": self.ids[-1]}

    def settings(self):
        return {
            "VONAGE_API_BASE_URL": self.stub.base,
            "VONAGE_API_KEY": "abcd1234",
            "VONAGE_API_SECRET": "the secret of the tests",
            "VONAGE_SIGNATURE_SECRET": self.SECRET,
            "VONAGE_FROM": "Loopin",
        }

    def headers(self, body, secret=SECRET, algorithm="HS256", **claims):
        usual = {
            "iss": "Vonage",
            "iat": int(time.time()),
            "jti": str(uuid.uuid4()),
            "api_key": "abcd1234",
            "payload_hash": hashlib.sha256(body).hexdigest(),
        }
        token = jwt.encode(usual | claims, secret, algorithm=algorithm)
        return {"content-type": "application/json", "authorization": f"Bearer {token}"}

    def takes(self, headers):
        """Whether Vonage's own library takes the token."""
        return verify_signature(headers["authorization"].removeprefix("Bearer "), self.SECRET)


def check_vendors():
    key, hook, vonage = secret(), Stub((200, lambda: {})), Vonage()
    server = server_before("vendors", key, vonage.settings() | {
        "SMS_PROVIDERS": "IN=webhook;*=vonage",
        "SMS_WEBHOOK_URL": hook.base,
        "PUBLIC_BASE_URL": "https://auth.example.com",
    })
    with server:
        for library in LIBRARIES:
            check_webhook(library, server, hook, key)
        check_vonage(server, vonage)
        check_another_providers_message(server, key)
    print("messages and reports with standardwebhooks, svix and vonage: all is right", flush=True)


def send_code(server, phone):
    """The id of the delivery."""
    return expect(200, sign_up(server, phone))["data"]["delivery_id"]


def check_another_providers_message(server, key):
    """A report of the webhook about a message of Vonage changes nothing."""
    of_vonage = send_code(server, "+447400123456")
    body = json.dumps({"id": f"{uuid.UUID(of_vonage).hex}-1", "status": "undelivered"}).encode()
    url = f"{server.base}/api/webhook/status"
    check("another's message", send(url, body, signed_headers(key, "other", int(time.time()), body))[0], 204)
    check("another's message, after it", delivery(server, of_vonage)[0], "queued")


def check_webhook(library, server, hook, key):
    url = f"{server.base}/api/webhook/status"
    delivery_id = send_code(server, next(PHONES))
    _, received, content = hook.requests[-1]
    LIBRARIES[library](key).verify(content, received)
    now = int(time.time())

    def body(status):
        return json.dumps({"id": received["webhook-id"], "status": status, "reason": "not_mobile"}).encode()

    lost, delivered = body("undelivered"), body("delivered")
    for forgery, headers in {
        "no signature": {"content-type": "application/json"},
        "another secret": signed_headers(secret(), "r1", now, lost, library),
        "another body": signed_headers(key, "r1", now, lost + b" ", library),
        "another id": signed_headers(key, "r1", now, lost, library) | {"webhook-id": "r2"},
        "an old time": signed_headers(key, "r1", now - 400, lost, library),
        "a time to come": signed_headers(key, "r1", now + 400, lost, library),
    }.items():
        check(f"{library}, {forgery}", send(url, lost, headers)[0], 403)
    check(f"{library}, after forged reports", delivery(server, delivery_id), ("queued", None))
    replayed = lost, signed_headers(key, "r1", now, lost, library)
    check(f"{library}, a report", send(url, *replayed)[0], 204)
    check(f"{library}, lost", delivery(server, delivery_id), ("undelivered", "not_mobile"))
    check(f"{library}, a later report", send(url, delivered, signed_headers(key, "r2", now, delivered, library))[0], 204)
    check(f"{library}, a replayed report", send(url, *replayed)[0], 204)
    check(f"{library}, still delivered", delivery(server, delivery_id), ("delivered", None))


def check_vonage(server, vonage):
    url = f"{server.base}/api/vonage/status"
    delivery_id = send_code(server, "+447400123457")
    asked = vonage.stub.last()
    check("vonage, where to report", asked["webhook_url"], "https://auth.example.com/api/vonage/status")

    def body(status, **more):
        report = {"channel": "sms", "message_uuid": vonage.ids[-1], "client_ref": asked["client_ref"], "status": status}
        return json.dumps(report | more).encode()

    lost = body("undeliverable", error={"type": "https://developer.vonage.com/api-errors/messages#1240", "title": "1240"})
    for forgery, headers in {
        "no token": {"content-type": "application/json"},
        "another secret": vonage.headers(lost, secret="another secret, which is long enough for HS256"),
        "another body": vonage.headers(lost + b" "),
        "no algorithm": vonage.headers(lost, secret=None, algorithm="none"),
        "another account": vonage.headers(lost, api_key="efgh5678"),
        "an old time": vonage.headers(lost, iat=int(time.time()) - 400),
        "a time to come": vonage.headers(lost, iat=int(time.time()) + 400),
    }.items():
        check(f"vonage, {forgery}", send(url, lost, headers)[0], 403)
    check("vonage, after forged reports", delivery(server, delivery_id), ("queued", None))
    delivered, submitted = body("delivered"), body("submitted")
    genuine, forged = vonage.headers(delivered), vonage.headers(delivered, secret="another secret, which is long enough")
    check("vonage, its own library", (vonage.takes(genuine), vonage.takes(forged)), (True, False))
    check("vonage, a report", send(url, delivered, genuine)[0], 204)
    check("vonage, delivered", delivery(server, delivery_id), ("delivered", None))
    check("vonage, a replayed report", send(url, delivered, genuine)[0], 204)
    check("vonage, a late report", send(url, submitted, vonage.headers(submitted))[0], 204)
    check("vonage, still delivered", delivery(server, delivery_id), ("delivered", None))

"""Passes the messages of loopin-auth on to Plivo, and its delivery reports back. Needs Python 3.9 and standardwebhooks.

    RELAY_SECRET=whsec_... AUTH_URL=https://auth.example.com PUBLIC_URL=https://relay.example.com \\
        PLIVO_AUTH_ID=... PLIVO_AUTH_TOKEN=... PLIVO_SENDER=... PORT=8080 python3 plivo_relay.py

POST /send takes messages, POST /status/<webhook-id> Plivo's reports, at PUBLIC_URL.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import Future
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# Two while one replaces the other, separated by a space: the value of SMS_WEBHOOK_SECRET.
WEBHOOKS = [Webhook(secret) for secret in os.environ["RELAY_SECRET"].split()]
STATUS_URL = os.environ["AUTH_URL"] + "/api/webhook/status"
PUBLIC_URL = os.environ["PUBLIC_URL"]
AUTH_ID, AUTH_TOKEN = os.environ["PLIVO_AUTH_ID"], os.environ["PLIVO_AUTH_TOKEN"]
SENDER = os.environ["PLIVO_SENDER"]
MESSAGES_URL = f"{os.environ.get('PLIVO_API_URL', 'https://api.plivo.com')}/v1/Account/{AUTH_ID}/Message/"

MOST_BYTES = 64 * 1024
# loopin-auth waits for ten seconds, and tries again itself.
TIMEOUT_SECONDS = 6
# Longer than a signed request is accepted, which is five minutes before and after its time.
REMEMBERED_SECONDS = 15 * 60

# What the statuses of Plivo are in a report, and what its error codes say about the number.
STATUSES = {"queued": "queued", "sent": "sent", "delivered": "delivered", "undelivered": "undelivered", "failed": "failed"}
REASONS = {
    "30": "blocked",
    "50": "invalid",
    "70": "invalid",
    "80": "invalid",
    "90": "region_not_allowed",
    "100": "blocked",
    "200": "opted_out",
}


def verified(headers, body):
    """The message, if one of our secrets signed it within five minutes of now."""
    for webhook in WEBHOOKS:
        try:
            return webhook.verify(body, dict(headers.items()))
        except (WebhookVerificationError, ValueError):
            # A ValueError is a header or a body that cannot be read. The next secret may be the right one.
            pass
    return None


class Answers:
    """The answers of the last minutes by `webhook-id`, the oldest first. Several relays need one store for all, such as Redis."""

    def __init__(self):
        self.lock, self.known = threading.Lock(), {}

    def once(self, message_id, send):
        """Sends a message once: a repeated request gets the same answer."""
        with self.lock:
            self.forget_old()
            is_new = message_id not in self.known
            if is_new:
                self.known[message_id] = (time.monotonic(), Future())
            answer = self.known[message_id][1]
        if is_new:
            try:
                made = send()
            except Exception as error:
                log(message_id, type(error).__name__)
                made = refuse(502, "it may have been sent")
            if made[0] == 429:
                # Nothing was sent, so the next request with this id may try again.
                with self.lock:
                    del self.known[message_id]
            answer.set_result(made)
        return answer.result()

    def forget_old(self):
        end = time.monotonic() - REMEMBERED_SECONDS
        while self.known:
            oldest = next(iter(self.known))
            if self.known[oldest][0] > end:
                break
            del self.known[oldest]


ANSWERS = Answers()


def log(message_id, text):
    print(f"{message_id}: {text}", flush=True)


def refuse(status, message):
    return status, {"error": {"http_code": status, "message": message}}


def send(message_id, message):
    if message["channel"] != "sms":
        return refuse(422, "this relay sends SMS only")
    content = {
        "src": SENDER,
        "dst": message["phone"].lstrip("+"),
        "text": message["text"],
        # The report says by its address which message it is about.
        "url": f"{PUBLIC_URL}/status/{message_id}",
        "method": "POST",
        "message_expiry": message["ttl"],
    }
    registration = message.get("dlt")
    if registration is not None:
        content["dlt_entity_id"] = registration["entity_id"]
        content["dlt_template_id"] = registration["template_id"]
        content["dlt_template_category"] = registration["category"]
    try:
        answer = post(MESSAGES_URL, json.dumps(content).encode(), {"Authorization": f"Basic {credentials()}"})
    except urllib.error.HTTPError as refused:
        with refused:
            log(message_id, f"Plivo answers {refused.code}")
        if refused.code == 429:
            return refuse(429, "not sent: try again")
        return refuse(502 if refused.code >= 500 else 422, f"Plivo answers {refused.code}")
    except urllib.error.URLError as error:
        log(message_id, f"no answer of Plivo: {type(error.reason).__name__}")
        if isinstance(error.reason, (ConnectionRefusedError, socket.gaierror)):
            return refuse(429, "not sent: try again")
        return refuse(502, "no answer of Plivo")
    log(message_id, f"is {answer.get('message_uuid')} at Plivo")
    return 202, {}


def credentials():
    return base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()


def post(url, body, headers):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"} | headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return json.loads(answer.read() or b"{}")


def is_from_plivo(headers, message_id):
    """Plivo signs the address and a nonce, but not the body."""
    signed = f"{PUBLIC_URL}/status/{message_id}{headers.get('x-plivo-signature-v2-nonce', '')}"
    expected = base64.b64encode(hmac.new(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha256).digest())
    return hmac.compare_digest(expected, headers.get("x-plivo-signature-v2", "").encode())


def take_report(message_id, body):
    """Passes a report on. Plivo tries again after a 5xx."""
    form = dict(urllib.parse.parse_qsl(body.decode()))
    status = STATUSES.get(form.get("Status"))
    if status is None:
        return 200, {}
    content = {"id": message_id, "status": status}
    reason = REASONS.get(form.get("ErrorCode"))
    if reason is not None:
        content["reason"] = reason
    report, now, report_id = json.dumps(content), datetime.now(timezone.utc), f"report_{uuid.uuid4()}"
    headers = {
        "webhook-id": report_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": WEBHOOKS[0].sign(report_id, now, report),
    }
    try:
        post(STATUS_URL, report.encode(), headers)
    except OSError as error:
        log(message_id, f"loopin-auth did not take the report: {type(error).__name__}")
        return 502, {}
    return 200, {}


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"status": "healthy"})

    def do_POST(self):
        try:
            length = int(self.headers.get("content-length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= MOST_BYTES:
            self.close_connection = True
            return self.answer(413, {})
        body = self.rfile.read(length)
        about = re.fullmatch(r"/status/([0-9a-f]{32}-[0-9]+)", self.path)
        if about:
            if not is_from_plivo(self.headers, about[1]):
                return self.answer(403, {})
            return self.answer(*take_report(about[1], body))
        if self.path != "/send":
            return self.answer(404, {})
        message = verified(self.headers, body)
        if message is None:
            return self.answer(*refuse(401, "no valid signature"))
        message_id = self.headers["webhook-id"]
        self.answer(*ANSWERS.once(message_id, lambda: send(message_id, message)))

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Relay).serve_forever()

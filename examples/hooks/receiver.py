"""Answers the hook before sending: whether loopin-auth may send a code. Needs Python 3.9 and no packages.

    HOOK_SECRET=whsec_... PORT=8080 python3 receiver.py
"""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Two while one replaces the other, separated by a space.
SECRETS = [base64.b64decode(text.removeprefix("whsec_"), validate=True) for text in os.environ["HOOK_SECRET"].split()]
DENIED = set(os.environ.get("DENIED_PHONES", "").split())

TOLERANCE_SECONDS = 300
MOST_BYTES = 64 * 1024


def is_signed(headers, body):
    """Whether one signature is by one of our secrets, and the time is now."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
            return False
    except ValueError:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    given = [text.encode() for text in headers.get("webhook-signature", "").split()]
    for secret in SECRETS:
        expected = b"v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
        if any(hmac.compare_digest(expected, one) for one in given):
            return True
    return False


def decide(question):
    """Put your own rule here: ask your risk or SIM-swap provider. All of it has one second."""
    if question["phone_number"] in DENIED:
        return "deny"
    return "allow"


class Receiver(BaseHTTPRequestHandler):
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
            return self.answer(413, {"error": "too long"})
        # The signature is of these bytes: parse them only after it was checked.
        body = self.rfile.read(length)
        if not is_signed(self.headers, body):
            return self.answer(401, {"error": "no valid signature"})
        self.answer(200, {"decision": decide(json.loads(body))})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()

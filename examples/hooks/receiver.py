"""Answers the hook before sending: whether loopin-auth may send a code. Needs Python 3.9, and once: pip install -r requirements.txt

    BEFORE_SEND_SECRET=whsec_... PORT=8080 python3 receiver.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# Two while one replaces the other, separated by a space.
WEBHOOKS = [Webhook(secret) for secret in os.environ["BEFORE_SEND_SECRET"].split()]
DENIED = set(os.environ.get("DENIED_PHONES", "").split())

MOST_BYTES = 64 * 1024


def verified(headers, body):
    """The question, if one of our secrets signed it within five minutes of now."""
    for webhook in WEBHOOKS:
        try:
            return webhook.verify(body, dict(headers.items()))
        except (WebhookVerificationError, ValueError):
            # A ValueError is a header or a body that cannot be read. The next secret may be the right one.
            pass
    return None


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
        question = verified(self.headers, self.rfile.read(length))
        if question is None:
            return self.answer(401, {"error": "no valid signature"})
        self.answer(200, {"decision": decide(question)})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()

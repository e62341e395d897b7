"""Takes events of loopin-auth. Needs Python 3.9, and once: pip install -r requirements.txt

    EVENTS_SECRET=whsec_... PORT=8080 python3 receiver.py
"""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# Two while one replaces the other, separated by a space.
WEBHOOKS = [Webhook(secret) for secret in os.environ["EVENTS_SECRET"].split()]
# The file that events are written to. Not set: standard output.
OUT = os.environ.get("OUT")

MOST_BYTES = 64 * 1024

# The ids that were taken. Yours belong into a database, and can be removed after four days.
KNOWN, LOCK = set(), threading.Lock()


def verified(headers, body):
    """The event, if one of our secrets signed it within five minutes of now."""
    for webhook in WEBHOOKS:
        try:
            return webhook.verify(body, dict(headers.items()))
        except (WebhookVerificationError, ValueError):
            # A ValueError is a header or a body that cannot be read. The next secret may be the right one.
            pass
    return None


def take(message_id, event):
    """Put your own work here. An event that raises an error is sent again."""
    line = json.dumps({"id": message_id, **event})
    if OUT:
        with open(OUT, "a", encoding="utf-8") as out:
            out.write(line + "\n")
    else:
        print(line, flush=True)


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
        event = verified(self.headers, self.rfile.read(length))
        if event is None:
            return self.answer(401, {"error": "no valid signature"})
        message_id = self.headers["webhook-id"]
        with LOCK:
            # A repetition is answered like the first one.
            if message_id not in KNOWN:
                take(message_id, event)
                KNOWN.add(message_id)
        self.answer(200, {"status": "taken"})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver).serve_forever()

"""A shop that confirms an order by a code to the customer's phone. Needs Python 3.9 and no packages.

    AUTH_URL=http://127.0.0.1:8000 API_KEY=lak_... PORT=8080 python3 shop.py
"""

import json
import os
import re
import sys
import uuid
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

AUTH_URL, API_KEY = os.environ["AUTH_URL"], os.environ["API_KEY"]
MOST_BYTES = 64 * 1024
CONFIRM = re.compile(r"/orders/([0-9a-f-]{36})/confirm")

# A real shop has a database.
orders = {}


def ask(path, body):
    """Asks loopin-auth. The status and the body of its answer; 503 when there is none."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    request = Request(f"{AUTH_URL}/api/verifications{path}", json.dumps(body).encode(), headers)
    try:
        try:
            with urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)
    except (OSError, HTTPException, ValueError):
        return 503, {}


def refusal(status, body):
    """What a customer may know. Faults of the shop, such as a wrong key, are no business of theirs."""
    error = body.get("error", {})
    if status not in (400, 422, 429, 503):
        print("loopin-auth refuses the shop:", status, error.get("code"), file=sys.stderr)
        return 503, {"error": "unavailable"}
    content = {name: error[name] for name in ("attempts_remaining", "retry_after", "fields") if name in error}
    return status, {"error": error.get("code", "unavailable"), **content}


def order(body, address):
    """A new order: nothing is shipped before the code came back."""
    order_id = str(uuid.uuid4())
    # The reference ties the code to this order. Behind a proxy, take the address that the proxy names.
    question = {"phone_number": body.get("phone_number"), "reference": f"order {order_id}", "end_user_address": address}
    status, asked = ask("", question)
    if status != 201:
        return refusal(status, asked)
    orders[order_id] = {"item": body.get("item"), "verification": asked["id"], "is_confirmed": False}
    return 201, {"order": order_id, "resend_in": asked["resend_in"], "expires_at": asked["expires_at"]}


def confirm(order_id, body, address):
    """The code that the customer entered."""
    found = orders.get(order_id)
    if found is None:
        return 404, {"error": "no such order"}
    if not found["is_confirmed"]:
        question = {"otp_code": body.get("otp_code"), "end_user_address": address}
        status, checked = ask(f"/{found['verification']}/check", question)
        if status != 200 or checked.get("status") != "approved":
            return refusal(status, checked)
        found["is_confirmed"] = True
    return 200, {"order": order_id, "status": "confirmed"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "healthy"})
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self):
        body = self.read()
        address = self.client_address[0]
        matched = CONFIRM.fullmatch(self.path)
        if body is None:
            self.answer(400, {"error": "not a JSON object"})
        elif self.path == "/orders":
            self.answer(*order(body, address))
        elif matched:
            self.answer(*confirm(matched[1], body, address))
        else:
            self.answer(404, {"error": "not found"})

    def read(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
            body = json.loads(self.rfile.read(length)) if 0 <= length <= MOST_BYTES else None
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def answer(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()

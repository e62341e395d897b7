"""The service itself: opportunities, kept in memory, as a WSGI application of the standard library.

`verify(token)` comes from with_secret.py or with_jwks.py. Settings: PORT (3000), HOST (127.0.0.1).
"""

import datetime
import json
import os
import threading
import uuid
from http import HTTPStatus
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

MAX_BODY_BYTES = 64 * 1024

# Claims that a token must have. By default PyJWT accepts a token without an expiry.
REQUIRED_CLAIMS = ["exp", "user_id", "token_type"]

# PyJWT refuses a token that was issued in the future, which it was for a clock that is slow.
CLOCKS_DIFFER_SECONDS = 5


class Refused(Exception):
    """An answer that is not 2xx. 401 sends an app to its refresh token, so it is for tokens only."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


def access_claims(claims):
    """What the library's check of signature and time leaves open: a refresh token has a good signature too."""
    if claims.get("token_type") != "access" or not isinstance(claims.get("user_id"), str):
        raise Refused(401, "Invalid token")
    return claims


def bearer(environ):
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, "User not authenticated")
    return token.strip()


def body_of(environ):
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise Refused(400, "Content-Length is not a number") from None
    if size > MAX_BODY_BYTES:
        raise Refused(413, "Body too large")
    return environ["wsgi.input"].read(size)


def json_of(text):
    try:
        return json.loads(text)
    except ValueError:
        raise Refused(400, "Body is not JSON") from None


def opportunity(body, created_by):
    texts = {}
    for field in ("title", "description", "category"):
        text = body.get(field) if isinstance(body, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise Refused(422, f"{field} is missing")
        texts[field] = text
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    # `createdBy` is from the token, whatever the body says.
    return {"id": str(uuid.uuid4()), **texts, "createdBy": created_by, "createdAt": now}


class Service:
    def __init__(self, verify):
        self.verify = verify
        self.opportunities = []
        self.lock = threading.Lock()

    def answer(self, environ):
        # Read before any answer: a connection that is closed with a body unread may lose the answer.
        body = body_of(environ)
        path, method = environ["PATH_INFO"].rstrip("/"), environ["REQUEST_METHOD"]
        if path == "/health":
            return 200, {"status": "healthy"}
        if path != "/api/v1/opportunities":
            raise Refused(404, "Not found")
        claims = access_claims(self.verify(bearer(environ)))
        if method == "GET":
            with self.lock:
                return 200, {"opportunities": list(self.opportunities)}
        if method == "POST":
            made = opportunity(json_of(body), claims["user_id"])
            with self.lock:
                self.opportunities.append(made)
            return 201, made
        raise Refused(405, "Method not allowed")

    def __call__(self, environ, start_response):
        try:
            status, body = self.answer(environ)
        except Refused as refused:
            status, body = refused.status, {"error": refused.message}
        headers = [("Content-Type", "application/json")]
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [json.dumps(body).encode()]


class ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(verify):
    """For a try. In production hand `Service(verify)` to a WSGI server."""
    host, port = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "3000"))
    with make_server(host, port, Service(verify), ThreadingServer, Quiet) as server:
        server.serve_forever()

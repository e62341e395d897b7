"""Asks about tokens with Authlib, as a service in Python does.

    python3 introspect.py <server> <API key> <token>...     prints the answers as JSON
"""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session

server, key, *tokens = sys.argv[1:]


def with_key(request):
    request.headers["Authorization"] = f"Bearer {key}"
    return request


session = OAuth2Session("gateway")
ask = lambda token: session.introspect_token(f"{server}/api/auth/introspect", token=token, auth=with_key)
answers = [ask(token) for token in tokens]
for answer in answers:
    answer.raise_for_status()
print(json.dumps([answer.json() for answer in answers]))

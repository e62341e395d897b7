"""Checks tokens with the shared secret (JWT_ALGORITHM=HS256) and PyJWT.

Settings: JWT_SECRET, the JWT_SECRET_KEY of loopin-auth to the letter; JWT_PREVIOUS_SECRET while the secret is being changed;
JWT_ISSUER and JWT_AUDIENCE where loopin-auth has them; those of service.py.

A service that has the secret can make tokens for any user. For more than a few services of your own, use with_jwks.py.
"""

import os

import jwt

from service import CLOCKS_DIFFER_SECONDS, REQUIRED_CLAIMS, Refused, serve

SECRETS = [os.environ["JWT_SECRET"]]
if os.environ.get("JWT_PREVIOUS_SECRET"):
    SECRETS.append(os.environ["JWT_PREVIOUS_SECRET"])
ISSUER = os.environ.get("JWT_ISSUER") or None
AUDIENCE = os.environ.get("JWT_AUDIENCE") or None


def verify(token):
    expired = False
    for secret in SECRETS:
        try:
            return jwt.decode(
                token,
                secret,
                algorithms=["HS256"],  # Named here: never the one that a token names.
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=CLOCKS_DIFFER_SECONDS,
                options={"require": REQUIRED_CLAIMS, "verify_aud": AUDIENCE is not None},
            )
        except jwt.ExpiredSignatureError:
            expired = True
        except jwt.InvalidTokenError:
            pass
    raise Refused(401, "Token expired" if expired else "Invalid token")


if __name__ == "__main__":
    serve(verify)

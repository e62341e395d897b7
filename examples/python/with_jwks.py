"""Checks tokens with the public keys of loopin-auth (JWT_ALGORITHM=EdDSA, ES256 or RS256) and PyJWT.

No secret here: this service can check tokens and make none. PyJWT needs `cryptography` for it (`PyJWT[crypto]`).

Settings: JWKS_URL (http://localhost:8000/.well-known/jwks.json); JWT_ALGORITHM (EdDSA); JWT_ISSUER and JWT_AUDIENCE where
loopin-auth has them; those of service.py.
"""

import os

import jwt

from service import CLOCKS_DIFFER_SECONDS, REQUIRED_CLAIMS, Refused, serve

# Cached for five minutes. An unknown `kid` fetches them again, at most every 30 seconds.
KEYS = jwt.PyJWKClient(os.environ.get("JWKS_URL") or "http://localhost:8000/.well-known/jwks.json", timeout=5)
ALGORITHM = os.environ.get("JWT_ALGORITHM") or "EdDSA"
ISSUER = os.environ.get("JWT_ISSUER") or None
AUDIENCE = os.environ.get("JWT_AUDIENCE") or None


def verify(token):
    try:
        return jwt.decode(
            token,
            KEYS.get_signing_key_from_jwt(token),
            algorithms=[ALGORITHM],  # Named here: never the one that a token names.
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=CLOCKS_DIFFER_SECONDS,
            options={"require": REQUIRED_CLAIMS, "verify_aud": AUDIENCE is not None},
        )
    except jwt.PyJWKClientConnectionError:
        # Nothing that a new token would mend, so no 401.
        raise Refused(503, "Sign-in cannot be checked at the moment") from None
    except jwt.ExpiredSignatureError:
        raise Refused(401, "Token expired") from None
    except (jwt.InvalidTokenError, jwt.PyJWKClientError):
        raise Refused(401, "Invalid token") from None


if __name__ == "__main__":
    serve(verify)

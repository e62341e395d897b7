"""A Django REST framework service whose people sign in at loopin-auth.

This project issues no token and keeps no password. What loopin-auth needs of it is `SIMPLE_JWT` and `AUTH_USER_MODEL`.
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# Django's own secret. It is not the secret of tokens.
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "accounts",
    "opportunities",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "service.urls"
WSGI_APPLICATION = "service.wsgi.application"
USE_TZ = True

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_FILE", BASE_DIR / "service.sqlite3"),
    }
}

# Its primary key is a UUID: the `user_id` of tokens.
AUTH_USER_MODEL = "accounts.User"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.LoopinAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

SIMPLE_JWT = {
    # The JWT_ALGORITHM of loopin-auth. No other is taken.
    "ALGORITHM": os.environ.get("JWT_ALGORITHM", "HS256"),
    "USER_ID_FIELD": "id",
    "USER_ID_CLAIM": "user_id",
    # Only access tokens, never a refresh token.
    "AUTH_TOKEN_CLASSES": ("rest_framework_simplejwt.tokens.AccessToken",),
    # Seconds that clocks may differ: a token that was issued in the future is refused, which it was for a clock that is slow.
    "LEEWAY": 5,
    # Where loopin-auth has JWT_ISSUER and JWT_AUDIENCE.
    "ISSUER": os.environ.get("JWT_ISSUER") or None,
    "AUDIENCE": os.environ.get("JWT_AUDIENCE") or None,
}
if SIMPLE_JWT["ALGORITHM"] == "HS256":
    # The JWT_SECRET_KEY of loopin-auth to the letter. Without this line SimpleJWT takes Django's SECRET_KEY.
    SIMPLE_JWT["SIGNING_KEY"] = os.environ["JWT_SECRET"]
else:
    # RS256, ES256 or EdDSA: the public keys, fetched and kept for five minutes. There is no private one here.
    SIMPLE_JWT["SIGNING_KEY"] = None
    SIMPLE_JWT["JWK_URL"] = os.environ.get("JWKS_URL", "http://localhost:8000/.well-known/jwks.json")

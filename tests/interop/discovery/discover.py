"""Finds an issuer as a service with Authlib does, and checks an access token with the keys that the document leads to.

usage: ISSUER=… TOKEN=… python discover.py
Prints the claims as JSON; exits with 1 and says why if the token is not valid.
"""

import json
import os
import sys

from authlib.integrations.base_client import BaseApp, OpenIDMixin
from authlib.integrations.base_client.sync_app import OAuth2Mixin
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

ISSUER, TOKEN = os.environ["ISSUER"], os.environ["TOKEN"]


class Service(OAuth2Mixin, OpenIDMixin, BaseApp):
    """What Authlib's integrations for web frameworks are made of, without a framework."""

    client_cls = OAuth2Session


class Framework:
    """Keeps nothing: this service has no sessions."""

    @staticmethod
    def get_session_data(_session, _key):
        return None


def main():
    url = get_well_known_url(ISSUER, external=True)
    service = Service(Framework(), "auth", client_id="a-service", server_metadata_url=url)
    metadata = OpenIDProviderMetadata(service.load_server_metadata())
    # The members that have to be as the specifications say. docs/INTEGRATION.md names those that differ.
    for member in ("issuer", "jwks_uri", "subject_types_supported", "claims_supported"):
        getattr(metadata, f"validate_{member}")()
    algorithms = metadata["id_token_signing_alg_values_supported"]
    keys = KeySet.import_key_set(service.fetch_jwk_set())
    claims = jwt.JWTClaimsRegistry(iss={"essential": True, "value": metadata["issuer"]}, sub={"essential": True}, exp={"essential": True})
    try:
        token = jwt.decode(TOKEN, keys, registry=JWSRegistry(algorithms=algorithms, strict_check_header=False))
        claims.validate(token.claims)
        if token.claims["token_type"] != "access":
            raise ValueError("not an access token")
    except (JoseError, ValueError) as refused:
        print(f"{type(refused).__name__}: {refused}", file=sys.stderr)
        return 1
    print(json.dumps(token.claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())

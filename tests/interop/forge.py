"""Tokens that every service has to refuse."""

import base64
import hashlib
import hmac
import json
import time
import uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(json.dumps(value, separators=(",", ":")).encode())


def unread(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def read(token):
    """The header and the claims, without a look at the signature."""
    header, claims, _ = token.split(".")
    return unread(header), unread(claims)


def hs256(header, claims, secret):
    """Made by hand, because PyJWT will not sign with a public key."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def strangers_key(algorithm):
    return {
        "HS256": lambda: "the-secret-of-somebody-else-entirely",
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
    }[algorithm]()


def sign(algorithm, key, header, claims):
    extra = {name: value for name, value in header.items() if name != "alg"}
    # A string for `iss`, a list of claims, anything: PyJWT has to sign any claims.
    return jwt.encode(claims, key, algorithm=algorithm, headers=extra)


def confusions(header, claims, key):
    """The public key's bytes, which everybody has, taken for an HMAC secret (RFC 8725, section 2.1)."""
    public = key.public_key()
    pem = public.public_bytes(PEM, PUBLIC)
    forms = {"PEM": pem, "PEM without its last line end": pem.strip(), "DER": public.public_bytes(DER, PUBLIC)}
    if isinstance(public, ed25519.Ed25519PublicKey):
        forms["raw bytes"] = public.public_bytes_raw()
    return {
        f"HS256 signed with the public key ({form})": hs256({**header, "alg": "HS256"}, claims, secret)
        for form, secret in forms.items()
    }


def without_signature(token, header, claims):
    """`alg: none` as it has been spelt to get past a comparison, without a signature and with one."""
    signature = token.split(".")[2]
    forged = {"no signature": token[: -len(signature)]}
    for name in ("none", "None", "NONE", "nOnE"):
        unsigned = f"{part({**header, 'alg': name})}.{part(claims)}."
        forged[f"alg: {name}"] = unsigned
        forged[f"alg: {name}, with a signature"] = unsigned + signature
    forged["alg: none, and no kid"] = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
    return forged


def with_another_algorithm(algorithm, key, header, claims):
    other = {"HS256": "HS512", "RS256": "RS512"}.get(algorithm)
    if other is None:
        return {}
    return {f"{other} with the right key": sign(other, key, {**header, "alg": other}, claims)}


def with_its_own_key(algorithm, header, claims):
    """A key in the header comes from the attacker who wrote the header."""
    if algorithm == "HS256":
        return {}
    key = strangers_key(algorithm)
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {
        "a key of its own in the header (jwk)": sign(algorithm, key, {**header, "jwk": jwk}, claims),
        "an address of keys in the header (jku)": sign(
            algorithm, key, {**header, "kid": "theirs", "jku": "http://127.0.0.1:9/jwks.json"}, claims
        ),
        "an unknown kid": sign(algorithm, key, {**header, "kid": "nobody"}, claims),
    }


def refused(algorithm, key, pair):
    """Names and tokens, each refused for one reason. `key` is the real one: a secret, or a private key."""
    header, claims = read(pair["access"])
    now = int(time.time())

    def signed(**changed):
        changed = {name: value for name, value in (claims | changed).items() if value is not None}
        return sign(algorithm, key, header, changed)

    body, altered = pair["access"].split("."), part(claims | {"user_id": str(uuid.uuid4())})
    forged = {
        "a refresh token": pair["refresh"],
        "an expired token": signed(iat=now - 3600, exp=now - 10),
        "a token without an end": signed(exp=None),
        # Clients read one of the two.
        "a token without a user": signed(user_id=None, sub=None),
        "a token without a type": signed(token_type=None),
        "a stranger's signature": sign(algorithm, strangers_key(algorithm), header, claims),
        "another user under the same signature": f"{body[0]}.{altered}.{body[2]}",
        "no token at all": "nonsense",
    }
    forged |= without_signature(pair["access"], header, claims)
    forged |= with_another_algorithm(algorithm, key, header, claims)
    forged |= with_its_own_key(algorithm, header, claims)
    if algorithm == "HS256":
        forged["the empty secret"] = hs256(header, claims, b"")
    else:
        forged |= confusions(header, claims, key)
    if "iss" in claims:
        forged["another issuer"] = signed(iss="https://elsewhere.example.com")
        forged["no issuer"] = signed(iss=None)
    if "aud" in claims:
        forged["another audience"] = signed(aud="elsewhere")
        forged["no audience"] = signed(aud=None)
    return forged

"""Starts the server and the services of examples/, and sends each service good tokens and bad ones.

usage: run.py <server binary> <scratch folder>; run.sh installs what is needed and calls it.
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import discovered
import documents
import forge
from cryptography.hazmat.primitives import serialization
from processes import Auth, Program, request, expect, free_port

BINARY, SCRATCH = sys.argv[1:]
EXAMPLES = os.path.join(SCRATCH, "examples")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LIMIT_SECONDS = 60
NAMED = {"JWT_ISSUER": "https://auth.example.com", "JWT_AUDIENCE": "opportunities"}
OPPORTUNITY = {"title": "Test", "description": "Test", "category": "INTERNSHIP"}
STRANGER = "550e8400-e29b-41d4-a716-446655440000"


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self.suite = ""

    def check(self, sentence, holds, found=None):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {self.suite}: {sentence}; found {found}", flush=True)

    def same(self, sentence, found, wanted):
        self.check(sentence, found == wanted, f"{found!r} and not {wanted!r}")


report = Report()


# ---- The services ----


def node(script, settings):
    return Program(f"node {script}", ["node", f"{script}.mjs"], os.path.join(EXAMPLES, "node"), "/health", settings)


def python(script, settings):
    return Program(f"python {script}", [sys.executable, f"{script}.py"], os.path.join(EXAMPLES, "python"), "/health", settings)


class Django(Program):
    """runserver in one process; its database is migrated as a team would do it."""

    def __init__(self, settings):
        own = {"DJANGO_SECRET_KEY": "django-has-a-secret-of-its-own", "DATABASE_FILE": os.path.join(SCRATCH, "django.sqlite3")}
        folder = os.path.join(EXAMPLES, "django")
        super().__init__("django", [], folder, "/health", own | settings)
        self.command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.port}"]

    def manage(self, *arguments):
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=self.folder, env=self.environment(), check=True, stdout=subprocess.DEVNULL)

    def shell(self, source):
        self.manage("shell", "--no-imports", "-c", f"from accounts.models import User\n{source}")


# ---- What every service has to do ----


def post(service, token, **more):
    return request("POST", f"{service.base}/api/v1/opportunities", token, OPPORTUNITY | more)


def listed(service, token):
    return expect(200, request("GET", f"{service.base}/api/v1/opportunities", token))["opportunities"]


def takes(service, pairs):
    """Good tokens are taken, and what is made belongs to the token's user, whatever the body says."""
    for who, pair in pairs.items():
        user_id = forge.read(pair["access"])[1]["user_id"]
        status, made = post(service, pair["access"], createdBy=STRANGER, user_id=STRANGER)
        report.same(f"{service.name} takes the access token of {who}", status, 201)
        report.same(f"{service.name} finds the user of {who} by user_id", made.get("createdBy"), user_id)
        mine = [one for one in listed(service, pair["access"]) if one["id"] == made.get("id")]
        report.same(f"{service.name} lists what {who} made", mine, [made])


def bears_another_clock(service, algorithm, key, pair):
    """A token of a server whose clock is two seconds ahead."""
    header, claims = forge.read(pair["access"])
    claims["iat"] = int(time.time()) + 2
    report.same(f"{service.name} bears a clock that differs", post(service, forge.sign(algorithm, key, header, claims))[0], 201)


def refuses(service, pair, forged):
    before = listed(service, pair["access"])
    for name, token in forged.items():
        status, body = post(service, token)
        report.check(f"{service.name} refuses {name}", status == 401, f"{status} {body}")
        if name == "an expired token":
            report.check(f"{service.name} says that it expired", "expired" in str(body), body)
    report.same(f"{service.name} refuses who has no token", post(service, None)[0], 401)
    report.same(f"{service.name} made nothing for the refused", listed(service, pair["access"]), before)


def the_server_itself_refuses(auth, pair, forged):
    """What the services refuse, the server does."""
    profile = f"{auth.base}/api/auth/profile"
    report.same("the server takes its access token", request("GET", profile, pair["access"])[0], 200)
    for name, token in forged.items():
        status, body = request("GET", profile, token)
        report.check(f"the server refuses {name}", status == 401, f"{status} {body}")


def tokens_are_described(auth, algorithm, pairs, settings):
    """The claims that docs/INTEGRATION.md promises."""
    always = {"token_type", "user_id", "sid", "jti", "iat", "exp"}
    named = {claim for name, claim in (("JWT_ISSUER", "iss"), ("JWT_AUDIENCE", "aud")) if name in settings}
    wanted = {
        "a phone": always | named | {"sub", "role", "phone_number"},
        "a password": always | named | {"sub", "role", "username", "email", "email_verified"},
    }
    for who, pair in pairs.items():
        header, claims = forge.read(pair["access"])
        report.same(f"the access token of {who} has these claims", set(claims), wanted[who])
        report.same(f"the refresh token of {who} has these", set(forge.read(pair["refresh"])[1]), always | named)
        report.same("the header names algorithm, type and key", set(header), {"alg", "typ", "kid"})
        report.same("the algorithm is the configured one", header["alg"], algorithm)
        report.same("an access token lives for 30 minutes", claims["exp"] - claims["iat"], 1800)
    for path in ("/.well-known/jwks.json", "/api/auth/jwks.json/"):
        keys = expect(200, request("GET", auth.base + path))["keys"]
        kids = [key["kid"] for key in keys]
        if algorithm == "HS256":
            report.same(f"{path} shows no secret", keys, [])
        else:
            report.check(f"{path} has the key that signs", header["kid"] in kids, kids)
            parts = {part for key in keys for part in key}
            report.check(f"{path} has no private part", not parts & {"d", "p", "q", "dp", "dq", "qi", "k"}, parts)


def django_finds_its_user(django, auth, phone):
    """The three ways of accounts/authentication.py."""
    pair = auth.sign_in_by_phone(phone)
    user_id = forge.read(pair["access"])[1]["user_id"]
    me, claims = f"{django.base}/api/v1/members/me", f"{django.base}/api/v1/claims"
    status, body = request("GET", me, pair["access"])
    report.same("JWTAuthentication does not know a stranger", (status, body.get("code")), (401, "user_not_found"))
    status, body = request("GET", claims, pair["access"])
    report.same(
        "JWTStatelessUserAuthentication reads no database", (status, body), (200, {"id": user_id, "role": "user", "username": ""})
    )
    report.same("a look at the claims makes no user", request("GET", me, pair["access"])[0], 401)
    report.same("LoopinAuthentication makes the user", post(django, pair["access"])[0], 201)
    status, body = request("GET", me, pair["access"])
    report.same("JWTAuthentication then finds the user", (status, body.get("id")), (200, user_id))
    django.shell(f"User.objects.filter(id='{user_id}').update(is_active=False)")
    report.same("a user that Django switched off stays so", post(django, pair["access"])[0], 401)
    many_first_requests(django, auth.sign_in_by_phone(phone[:-1] + "8"))
    other = auth.sign_in_by_phone(phone[:-1] + "9")
    user_id = forge.read(other["access"])[1]["user_id"]
    django.shell(f"User.objects.create(id='{user_id}', username='invited')")
    status, body = request("GET", me, other["access"])
    report.same("a user made beforehand is found by user_id", (status, body), (200, {"id": user_id, "username": "invited"}))


def many_first_requests(django, pair):
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: post(django, pair["access"])[0], range(8)))
    report.same("eight first requests at once make one user", statuses, [201] * 8)


def a_signed_out_session(auth, service, phone):
    """A token is valid until its expiry; the service checks the session before it deletes."""
    pair = auth.sign_in_by_phone(phone)
    made = expect(201, post(service, pair["access"]))
    expect(200, request("POST", f"{auth.base}/api/auth/logout", pair["access"]))
    report.same(f"{service.name} takes a token whose session has ended", post(service, pair["access"])[0], 201)
    address = f"{service.base}/api/v1/opportunities/{made['id']}"
    report.same(f"{service.name} deletes nothing for it", request("DELETE", address, pair["access"])[0], 401)
    live = auth.sign_in_by_phone(phone[:-1] + "9")
    made = expect(201, post(service, live["access"]))
    address = f"{service.base}/api/v1/opportunities/{made['id']}"
    report.same(f"{service.name} deletes for a live session", request("DELETE", address, live["access"])[0], 200)


# ---- The suites ----


def two_accounts(auth):
    return {"a phone": auth.sign_in_by_phone("+919812345678"), "a password": auth.register("testuser")}


def with_a_secret(folder, names):
    # Base64 text that must be taken to the letter, not decoded.
    first, second = (base64.b64encode(os.urandom(48)).decode() for _ in range(2))
    common = {"RATE_LIMITS_ENABLED": "false"} | names
    with Auth(BINARY, folder, common | {"JWT_SECRET_KEY": first}) as auth:
        pairs = two_accounts(auth)
        tokens_are_described(auth, "HS256", pairs, names)
        pair = pairs["a password"]
        forged = forge.refused("HS256", first, pair)
        settings = {"JWT_SECRET": first, "AUTH_URL": auth.base} | names
        the_server_itself_refuses(auth, pair, forged)
        with node("with-secret", settings) as one, python("with_secret", settings) as two, Django(settings) as three:
            for service in (one, two, three):
                takes(service, pairs)
                bears_another_clock(service, "HS256", first, pair)
                refuses(service, pair, forged)
            django_finds_its_user(three, auth, "+919812345680")
            a_signed_out_session(auth, one, "+919812345690")
        # The secret changes: first the services, then the server, and no user has to sign in again.
        settings = {"JWT_SECRET": second, "JWT_PREVIOUS_SECRET": first, "AUTH_URL": auth.base} | names
        with node("with-secret", settings) as one, python("with_secret", settings) as two:
            auth.restart(common | {"JWT_SECRET_KEY": second, "JWT_PREVIOUS_KEYS": f"secret:{first}"})
            both = {"the old secret": pair, "the new secret": auth.refresh(pair)}
            for service in (one, two):
                takes(service, both)
        with Django(settings) as three:
            takes(three, {"the new secret": both["the new secret"]})


def with_a_key(folder, algorithm, names):
    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, name) for name in ("first.pem", "second.pem")]
    for file in files:
        command = [BINARY, "keys", "generate", "--algorithm", algorithm, "--out", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(files[0], "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)

    def signing_with(first, other):
        own = {"JWT_ALGORITHM": algorithm, "JWT_PRIVATE_KEY_FILE": first, "JWT_PREVIOUS_KEYS": other}
        return {"RATE_LIMITS_ENABLED": "false"} | own | names

    with Auth(BINARY, folder, signing_with(*files)) as auth:
        pairs = two_accounts(auth)
        tokens_are_described(auth, algorithm, pairs, names)
        pair = pairs["a phone"]
        forged = forge.refused(algorithm, key, pair)
        settings = {"JWT_ALGORITHM": algorithm, "JWKS_URL": f"{auth.base}/.well-known/jwks.json", "AUTH_URL": auth.base} | names
        the_server_itself_refuses(auth, pair, forged)
        with node("with-jwks", settings) as one, python("with_jwks", settings) as two, Django(settings) as three:
            services = (one, two, three)
            for service in services:
                takes(service, pairs)
                bears_another_clock(service, algorithm, key, pair)
                refuses(service, pair, forged)
            a_signed_out_session(auth, one, "+919812345690")
            # The second key, which the services have seen by now, signs; the first verifies.
            auth.restart(signing_with(*reversed(files)))
            both = {"the old key": pair, "the new key": auth.refresh(pair)}
            kids = [forge.read(one["access"])[0]["kid"] for one in both.values()]
            report.check("the new key signs", kids[0] != kids[1], kids)
            for service in services:
                takes(service, both)
            auth.stop()
            for service in services:
                report.same(f"{service.name} goes on while the server is down", post(service, pair["access"])[0], 201)
        # A service that never saw the keys says that it cannot check, and not that the token is bad.
        settings["JWKS_URL"] = f"http://127.0.0.1:{free_port()}/jwks.json"
        with node("with-jwks", settings) as one, python("with_jwks", settings) as two:
            for service in (one, two):
                report.same(f"{service.name} cannot check without keys", post(service, pair["access"])[0], 503)
        with Django(settings) as three:
            report.same("SimpleJWT answers 401 then, as the page says", post(three, pair["access"])[0], 401)


def from_a_secret_to_a_key(folder):
    """The last of the changes in docs/INTEGRATION.md: other algorithms, the same sessions."""
    os.makedirs(folder, exist_ok=True)
    secret, file = base64.b64encode(os.urandom(48)).decode(), os.path.join(folder, "first.pem")
    subprocess.run([BINARY, "keys", "generate", "--algorithm", "ES256", "--out", file], check=True, stdout=subprocess.DEVNULL)
    with Auth(BINARY, folder, {"JWT_SECRET_KEY": secret, "JWT_PREVIOUS_KEYS": file}) as auth:
        pair = auth.register("testuser")
        settings = {"JWT_ALGORITHM": "ES256", "JWKS_URL": f"{auth.base}/.well-known/jwks.json"}
        with node("with-jwks", settings) as one, python("with_jwks", settings) as two, Django(settings) as three:
            auth.restart({"JWT_ALGORITHM": "ES256", "JWT_PRIVATE_KEY_FILE": file, "JWT_PREVIOUS_KEYS": f"secret:{secret}"})
            profile = request("GET", f"{auth.base}/api/auth/profile", pair["access"])
            report.same("the server takes tokens of the secret", profile[0], 200)
            after = {"the key": auth.refresh(pair)}
            for service in (one, two, three):
                report.same(f"{service.name} sends a token of the secret to be refreshed", post(service, pair["access"])[0], 401)
                takes(service, after)


def the_documents(folder):
    secret = base64.b64encode(os.urandom(48)).decode()
    with Auth(BINARY, folder, {"JWT_SECRET_KEY": secret}) as auth:
        with node("with-secret", {"JWT_SECRET": secret, "AUTH_URL": auth.base}) as service:
            documents.walk(report, auth, service, os.path.dirname(BINARY))


def a_proof_of_work():
    """The clients of docs/BOT_PROOF.md find the answer of its worked example, and are what the page shows."""
    with open(os.path.join(ROOT, "docs", "BOT_PROOF.md"), encoding="utf-8") as file:
        page = file.read()
    shown = dict(re.findall(r"^(challenge|difficulty|challenge_response): +(\S+)$", page, re.MULTILINE))
    clients = {
        "js": ("node", os.path.join(EXAMPLES, "node", "proof-of-work.mjs")),
        "python": (sys.executable, os.path.join(EXAMPLES, "python", "proof_of_work.py")),
    }
    for language, command in clients.items():
        with open(command[1], encoding="utf-8") as file:
            code = re.search(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL).group(1)
            report.check(f"the page shows the client in {language}", code in file.read(), code)
        for difficulty in (shown["difficulty"], "16"):
            arguments = [*command, shown["challenge"], difficulty]
            found = subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True).stdout.strip()
            zeros = 256 - int(hashlib.sha256(found.encode()).hexdigest(), 16).bit_length()
            report.check(f"{language} does the work of {difficulty} bits", zeros >= int(difficulty), found)
            report.check(f"{language} sends the challenge back", found.rpartition(".")[0] == shown["challenge"], found)
            if difficulty == shown["difficulty"]:
                report.same(f"{language} finds the answer of the page", found, shown["challenge_response"])


def main():
    Django({"JWT_SECRET": "of no matter here"}).manage("migrate", "--verbosity", "0")
    suites = {
        "HS256": lambda folder: with_a_secret(folder, {}),
        "HS256 with issuer and audience": lambda folder: with_a_secret(folder, NAMED),
        "EdDSA": lambda folder: with_a_key(folder, "EdDSA", {}),
        "ES256 with issuer and audience": lambda folder: with_a_key(folder, "ES256", NAMED),
        "RS256 with issuer and audience": lambda folder: with_a_key(folder, "RS256", NAMED),
        "from HS256 to ES256": from_a_secret_to_a_key,
        "discovery, EdDSA": lambda folder: discovered.keys_are_discovered(report, BINARY, SCRATCH, folder, "EdDSA"),
        "discovery, ES256": lambda folder: discovered.keys_are_discovered(report, BINARY, SCRATCH, folder, "ES256"),
        "discovery, RS256": lambda folder: discovered.keys_are_discovered(report, BINARY, SCRATCH, folder, "RS256"),
        "discovery of no issuer": lambda folder: discovered.no_issuer_is_discovered(report, BINARY, SCRATCH, folder),
        "docs/INTEGRATION.md": the_documents,
        "docs/BOT_PROOF.md": lambda _: a_proof_of_work(),
    }
    for number, (name, run) in enumerate(suites.items()):
        report.suite, before = name, (report.passed, report.failed)
        try:
            run(os.path.join(SCRATCH, f"server-{number}"))
        except Exception:
            report.failed += 1
            print(f"FAILED {name}:", flush=True)
            traceback.print_exc(file=sys.stdout)
        print(f"{name}: {report.passed - before[0]} checks held, {report.failed - before[1]} did not", flush=True)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())

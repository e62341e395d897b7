#!/usr/bin/env python3
"""Reads the files that deploy the server as the programs do that are not here: Compose, Kubernetes and systemd.

usage: files.py <server binary>
"""

import os
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml
from compose_spec import PyCompose

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
BINARY = os.path.realpath(sys.argv[1])

# The oldest that has all that is used, and the newest that there are schemas for.
KUBERNETES = ["1.30", "1.37"]

# systemd counts from 0 (closed) to 10 (open).
MOST_EXPOSURE = 1.2

# What stands for a value that an operator sets.
GIVEN = {
    "AUTH_HOST": "auth.example.com",
    "POSTGRES_PASSWORD": "a" * 32,
    "SECRET_KEY": "the first secret of the tests, 32 bytes or more",
    "JWT_SECRET_KEY": "the second secret of the tests, 32 bytes or more",
    "PUBLIC_BASE_URL": "https://auth.example.com",
    "TWILIO_ACCOUNT_SID": "AC0123456789abcdef0123456789abcdef",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "TWILIO_MESSAGING_SERVICE_SID": "MG0123456789abcdef0123456789abcdef",
}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def check(what, holds):
    if not holds:
        raise SystemExit(f"{what}: this is not so")


def given(text):
    """The text as Compose reads it: ${NAME:-default} and ${NAME:?why it must be set}."""
    return re.sub(
        r"\$\{(\w+):([?-])([^}]*)\}",
        lambda found: found[3] if found[2] == "-" else GIVEN[found[1]],
        text,
    )


def starts(what, settings):
    """The server accepts these settings, and warns of no unknown one."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [BINARY, "settings"], cwd=folder, env=settings, capture_output=True, text=True, timeout=60, check=False
        )
    check(f"{what}: the server takes the settings\n{done.stderr}", done.returncode == 0 and not done.stderr)


def compose(path, sets_the_server):
    """The file follows the Compose specification: no unknown key, and what it refers to is there."""
    text = given(read(path))
    parsed = PyCompose.from_yaml(text)
    parsed.validate()
    services = yaml.safe_load(text)["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            check(f"{path}: {name} waits for {other}, which is there", other in services)
        if sets_the_server and service.get("image") == "loopin-auth":
            # By `env_file` the server gets all that is in .env, also what is meant for Compose.
            starts(f"{path}, {name}", GIVEN | {"OTP_LENGTH": "6"} | service["environment"])
    return services


def kubernetes():
    folder = os.path.join("deploy", "kubernetes")
    documents = []
    for name in sorted(os.listdir(os.path.join(ROOT, folder))):
        documents += yaml.safe_load_all(read(os.path.join(folder, name)))
    for document in documents:
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)
    kinds = {document["kind"]: document for document in documents}
    pod = kinds["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    spreads = pod["spec"]["topologySpreadConstraints"]
    selectors = [
        kinds["Service"]["spec"]["selector"],
        kinds["Deployment"]["spec"]["selector"]["matchLabels"],
        kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *[spread["labelSelector"]["matchLabels"] for spread in spreads],
    ]
    check("every selector finds the pods", all(selector == labels for selector in selectors))
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    probes = [container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")]
    named = probes + [port["targetPort"] for port in kinds["Service"]["spec"]["ports"]]
    named += [port["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    check("every port has a name of the container", set(named) <= ports)
    secret = {
        name: GIVEN.get(name, value.replace("REPLACE", "value")) for name, value in kinds["Secret"]["stringData"].items()
    }
    starts("kubernetes", kinds["ConfigMap"]["data"] | secret)
    return len(documents)


def systemd():
    """The unit, with the binary in the place where systemd looks for it. Returns how open the service is."""
    unit = read("deploy/loopin-auth.service").replace("/usr/local/bin/loopin-auth", BINARY)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "loopin-auth.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit)
        verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
        check(f"systemd reads the unit\n{verified.stderr}", verified.returncode == 0 and not verified.stderr)
        judged = subprocess.run(
            ["systemd-analyze", "security", "--offline=yes", path], capture_output=True, text=True, check=True
        )
    exposure = float(re.search(r"Overall exposure level.*: ([0-9.]+)", judged.stdout)[1])
    check(f"the exposure of the service, {exposure}, is at most {MOST_EXPOSURE}", exposure <= MOST_EXPOSURE)
    return exposure


def main():
    compose("docker-compose.yml", False)
    compose("docker-compose.prod.yml", False)
    fleet = compose("deploy/compose.yml", True)
    check("both copies are equal", fleet["app-1"] == fleet["app-2"])
    print("compose: all three files follow the specification")
    print(f"kubernetes: {kubernetes()} objects follow the schemas of {' and '.join(KUBERNETES)}")
    print(f"systemd: the unit is understood, exposure {systemd()}")


if __name__ == "__main__":
    main()

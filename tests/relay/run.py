#!/usr/bin/env python3
"""Starts a server, the relays of examples/relay and stubs of their vendors, and takes sign-ups and delivery reports through
all of them. Then signs delivery reports with the vendors' libraries.

usage: run.py <server binary> <scratch folder>; run.sh installs what is needed and calls it.
"""

import json
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from server import ENTITY, HERE, PHONES, SCRATCH, TEMPLATE, check, delivery, secret, server_before, sign_up, verify
from processes import Program, expect
from stubs import Aws, Plivo, Stub, send
from vendors import check_vendors, signed_headers

RELAY = os.path.join(SCRATCH, "relay")

# ---- The relays ----


def check_deliveries(name, server, vendor):
    """A whole sign-up, and reports about delivered and lost messages."""
    phone = next(PHONES)
    signed_up = expect(200, sign_up(server, phone))
    number, text, entity, template = vendor.sent()
    check(f"{name}, what is sent", (number, entity, template), (phone, ENTITY, TEMPLATE))
    expect(200, verify(server, phone, text))
    delivery_id = signed_up["data"]["delivery_id"]
    for forgery in vendor.forgeries:
        check(f"{name}, a report with {forgery}", vendor.report(True, forgery), 403)
    check(f"{name}, after forged reports", delivery(server, delivery_id)[0], "queued")
    check(f"{name}, a report", vendor.report(True), 200)
    check(f"{name}, delivered", delivery(server, delivery_id), ("delivered", None))

    lost = expect(200, sign_up(server, next(PHONES)))["data"]["delivery_id"]
    check(f"{name}, a report of a loss", vendor.report(False), 200)
    check(f"{name}, lost", delivery(server, lost)[0], "undelivered")


def check_bad_days(name, server, vendor):
    """After 429 the server's next try is sent; after an unknown outcome none of them is."""
    before = len(vendor.stub.requests)
    vendor.stub.answers = [vendor.throttled]
    expect(200, sign_up(server, next(PHONES)))
    check(f"{name}, requests when throttled", len(vendor.stub.requests) - before, 2)
    vendor.stub.answers = [vendor.failed]
    refused = expect(503, sign_up(server, next(PHONES)))
    check(f"{name}, an unknown outcome", refused["error"]["code"], "sms_unavailable")
    check(f"{name}, requests after an unknown outcome", len(vendor.stub.requests) - before, 3)


def check_signatures(name, relay, vendor, key):
    """A message that is not signed, or not now, is not sent; a repeated one is sent once."""
    message = {"phone": next(PHONES), "channel": "sms", "text": "Your code is 4821", "ttl": 600}
    message["dlt"] = {"entity_id": ENTITY, "template_id": TEMPLATE, "category": "service_implicit"}
    body = json.dumps(message).encode()
    url, now, before = f"{relay.base}/send", int(time.time()), len(vendor.stub.requests)
    for forgery, headers in {
        "no signature": {},
        "another secret": signed_headers(secret(), "id", now, body),
        "another body": signed_headers(key, "id", now, body + b" "),
        "another id": signed_headers(key, "id", now, body) | {"webhook-id": "other"},
        "an old time": signed_headers(key, "id", now - 400, body),
        "a time to come": signed_headers(key, "id", now + 400, body),
    }.items():
        check(f"{name}, {forgery}", send(url, body, headers)[0], 401)
    check(f"{name}, requests for forged messages", len(vendor.stub.requests), before)
    message_id = f"{uuid.uuid4().hex}-1"
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(send, url, body, signed_headers(key, message_id, now, body)) for _ in range(8)]
        check(f"{name}, a repeated message", {one.result()[0] for one in tries}, {202})
    check(f"{name}, requests for a repeated message", len(vendor.stub.requests) - before, 1)
    body = json.dumps(message | {"channel": "call"}).encode()
    check(f"{name}, a call", send(url, body, signed_headers(key, "call", now, body))[0], 422)


def check_plivo():
    plivo, key = Plivo(), secret()
    server = server_before("plivo", key)
    relay = Program("plivo", [sys.executable, "plivo_relay.py"], RELAY, "/", {})
    relay.settings = {
        "RELAY_SECRET": f"{key} {secret()}",
        "AUTH_URL": server.base,
        "PUBLIC_URL": relay.base,
        "PLIVO_API_URL": plivo.stub.base,
        "PLIVO_AUTH_ID": plivo.ID,
        "PLIVO_AUTH_TOKEN": plivo.TOKEN,
        "PLIVO_SENDER": "LOOPIN",
    }
    run_relay("examples/relay for Plivo", server, relay, plivo, key)


def check_aws():
    aws, key = Aws(SCRATCH), secret()
    server = server_before("aws", key)
    node = ["node", f"--import={os.path.join(HERE, 'certificate.mjs')}", "aws_relay.mjs"]
    relay = Program("aws", node, RELAY, "/", {})
    relay.settings = {
        "RELAY_SECRET": f"{key} {secret()}",
        "AUTH_URL": server.base,
        "AWS_REGION": "ap-south-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_ENDPOINT_URL": aws.stub.base,
        "AWS_SENDER": "LOOPIN",
        "AWS_CONFIGURATION_SET": "codes",
        "SNS_TOPIC_ARN": aws.TOPIC,
        "SNS_CERTIFICATE": aws.certificate,
        "SNS_CERTIFICATE_URL": aws.CERTIFICATE_URL,
    }
    aws.status_url = f"{relay.base}/status"

    def more():
        check("aws, a subscription", aws.confirm(), 200)
        check("aws, its confirmation", aws.stub.requests[-1][0], "/confirm?Token=1")
        opted_out = {"__type": "ConflictException", "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT", "Message": "no"}
        aws.stub.answers = [(400, opted_out)]
        refused = expect(400, sign_up(server, next(PHONES)))
        check("aws, STOP", (refused["error"]["code"], refused["error"]["reason"]), ("phone_unreachable", "opted_out"))

    run_relay("examples/relay for AWS", server, relay, aws, key, more)


def run_relay(name, server, relay, vendor, key, more=lambda: None):
    server.settings["SMS_WEBHOOK_URL"] = f"{relay.base}/send"
    with relay, server:
        check_deliveries(name, server, vendor)
        check_bad_days(name, server, vendor)
        check_signatures(name, relay, vendor, key)
        more()
    print(f"{name}: all is right", flush=True)


# ---- A function for Supabase's hook ----


def check_supabase():
    api, key = Stub((200, lambda: {})), secret()
    server = server_before("supabase", key)
    node = ["node", f"--import={os.path.join(HERE, 'deno.mjs')}", "supabase_function.mjs"]
    settings = {"SEND_SMS_HOOK_SECRET": f"v1,{key}", "SMS_API_URL": api.base}
    function = Program("supabase", node, RELAY, "/", settings)
    server.settings["SMS_WEBHOOK_URL"] = function.base
    with function, server:
        phone = next(PHONES)
        expect(200, sign_up(server, phone))
        sent = api.last()
        check("supabase, the number", sent["to"], phone)
        expect(200, verify(server, phone, sent["text"]))
        api.answer = (400, lambda: {})
        check("supabase, a refusal", expect(503, sign_up(server, next(PHONES)))["error"]["code"], "sms_unavailable")
    print("a function for Supabase's send-SMS hook: all is right", flush=True)


def main():
    check_plivo()
    check_aws()
    check_supabase()
    check_vendors()


main()

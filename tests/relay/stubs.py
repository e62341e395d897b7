"""Stubs of the vendors' APIs, and their delivery reports as they sign them."""

import base64
import hashlib
import hmac
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from processes import DIRECT, PATIENCE_SECONDS


def send(url, body, headers, method="POST"):
    """The status of the answer, and its body."""
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with DIRECT.open(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


class Stub:
    """Keeps every request, and gives the answers in `answers` first, then `answer` for ever."""

    def __init__(self, answer):
        self.requests, self.answers, self.answer = [], [], answer
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.do_POST()

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stub.requests.append((self.path, headers, body))
                status, content = stub.answers.pop(0) if stub.answers else (stub.answer[0], stub.answer[1]())
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def last(self):
        """The body of the last request, read as JSON."""
        return json.loads(self.requests[-1][2])


class Plivo:
    """Plivo's API, and its reports."""

    ID, TOKEN = "MAXXXXXXXXXXXXXXXXXX", "the auth token of the tests"

    def __init__(self):
        self.stub = Stub((202, lambda: {"message": "message(s) queued", "message_uuid": [str(uuid.uuid4())]}))
        self.throttled, self.failed = (429, {"error": "slow down"}), (500, {"error": "internal"})

    def sent(self):
        """What the last request asked for: number, text, entity, template."""
        path, headers, _ = self.stub.requests[-1]
        credentials = base64.b64encode(f"{self.ID}:{self.TOKEN}".encode()).decode()
        assert (path, headers["authorization"]) == (f"/v1/Account/{self.ID}/Message/", f"Basic {credentials}")
        asked = self.stub.last()
        assert asked["src"] == "LOOPIN" and asked["dlt_template_category"] == "service_implicit"
        return "+" + asked["dst"], asked["text"], asked["dlt_entity_id"], asked["dlt_template_id"]

    def report(self, delivered, forge=None):
        """Reports about the last message; `forge` is what is wrong with it."""
        url = self.stub.last()["url"]
        form = {"Status": "delivered"} if delivered else {"Status": "undelivered", "ErrorCode": "200"}
        nonce = "05429567804466091622"
        signed_url = url[:-1] + "7" if forge == "another message" else url
        token = "another token" if forge == "another secret" else self.TOKEN
        signature = base64.b64encode(hmac.new(token.encode(), (signed_url + nonce).encode(), hashlib.sha256).digest()).decode()
        headers = {"X-Plivo-Signature-V2": signature, "X-Plivo-Signature-V2-Nonce": nonce}
        if forge == "no signature":
            headers = {}
        body = urllib.parse.urlencode(form | {"MessageUUID": str(uuid.uuid4())}).encode()
        return send(url, body, headers | {"Content-Type": "application/x-www-form-urlencoded"})[0]

    forgeries = ["another message", "another secret", "no signature"]


class Aws:
    """The API of AWS End User Messaging SMS, and the notifications of an SNS topic with its events."""

    TOPIC = "arn:aws:sns:ap-south-1:111122223333:sms-events"
    CERTIFICATE_URL = "https://sns.ap-south-1.amazonaws.com/SimpleNotificationService-test.pem"

    def __init__(self, folder):
        self.stub = Stub((200, lambda: {"MessageId": str(uuid.uuid4())}))
        self.throttled = (400, {"__type": "ThrottlingException", "Message": "Rate exceeded"})
        self.failed = (500, {"__type": "InternalServerException", "Message": "internal"})
        self.status_url = None
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = os.path.join(folder, "sns.pem")
        with open(self.certificate, "wb") as file:
            file.write(self_signed(self.key))

    def sent(self):
        """What the last request asked for: number, text, entity, template."""
        headers = self.stub.requests[-1][1]
        assert headers["x-amz-target"] == "PinpointSMSVoiceV2.SendTextMessage"
        assert "/ap-south-1/sms-voice/aws4_request" in headers["authorization"]
        asked = self.stub.last()
        assert (asked["OriginationIdentity"], asked["MessageType"]) == ("LOOPIN", "TRANSACTIONAL")
        registration = asked["DestinationCountryParameters"]
        return asked["DestinationPhoneNumber"], asked["MessageBody"], registration["IN_ENTITY_ID"], registration["IN_TEMPLATE_ID"]

    def report(self, delivered, forge=None):
        """Notifies about the last message; `forge` is what is wrong with it."""
        event = {
            "eventType": "TEXT_DELIVERED" if delivered else "TEXT_CARRIER_BLOCKED",
            "eventVersion": "1.0",
            "isFinal": True,
            "messageId": str(uuid.uuid4()),
            "context": self.stub.last()["Context"],
        }
        return self.notify({"Type": "Notification", "Message": json.dumps(event)}, forge)

    def confirm(self):
        """Asks the relay to confirm its subscription."""
        url = f"{self.stub.base}/confirm?Token=1"
        return self.notify({"Type": "SubscriptionConfirmation", "Message": "confirm", "SubscribeURL": url, "Token": "1"})

    def notify(self, content, forge=None):
        notification = content | {
            "MessageId": str(uuid.uuid4()),
            "TopicArn": self.TOPIC + "-of-another" if forge == "another topic" else self.TOPIC,
            "Timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SignatureVersion": "1",
            "SigningCertURL": "https://example.com/test.pem" if forge == "another host" else self.CERTIFICATE_URL,
        }
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        signed = "".join(f"{name}\n{notification[name]}\n" for name in names if name in notification)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if forge == "another key" else self.key
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA1())
        notification["Signature"] = base64.b64encode(signature).decode()
        if forge == "another text":
            notification["Message"] = notification["Message"].replace("TEXT_DELIVERED", "TEXT_SPAM")
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": content["Type"]}
        return send(self.status_url, json.dumps(notification).encode(), headers)[0]

    forgeries = ["another topic", "another host", "another key", "another text"]


def self_signed(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


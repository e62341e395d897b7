"""Signs in at a real server with the generated clients, in Python here and in TypeScript as a program of its own.

usage: run.py <server binary> <scratch folder>; run.sh generates the clients and calls it.
"""

import os
import subprocess
import sys
from datetime import date

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "interop"))

from auth import AuthenticatedClient, Client
from auth.api.phone import login, signup, verify_login, verify_otp
from auth.api.profile import complete_profile, get_profile
from auth.api.session import logout, refresh
from auth.models import (
    CompleteProfileRequest,
    ErrorCode,
    Failure,
    Gender,
    LoginByPasswordRequest,
    LoginByPhoneRequest,
    LogoutRequest,
    RefreshRequest,
    SignupRequest,
    SuccessCodeSentData,
    VerifyRequest,
)
from processes import Auth, request, expect

BINARY, SCRATCH = sys.argv[1:]
PHONE = "+919812345670"
SETTINGS = {"TWILIO_TEST_MODE": "true", "OTP_RESEND_SECONDS": "0"}


def newest_code(server):
    inbox = expect(200, request("GET", f"{server.base}/dev/inbox.json?phone_number=%2B{PHONE[1:]}"))
    return inbox["messages"][0]["otp_code"]


def refused(answer, code):
    assert isinstance(answer, Failure) and answer.error.code == code, answer


def walk(server):
    client = Client(base_url=server.base)
    sent = signup.sync(client=client, body=SignupRequest(phone_number=PHONE))
    assert sent.data.phone_number == PHONE and sent.token is None, sent
    verified = verify_otp.sync(client=client, body=VerifyRequest(phone_number=PHONE, otp_code=newest_code(server)))
    assert verified.data.needs_profile_completion, verified

    person = AuthenticatedClient(base_url=server.base, token=verified.token)
    empty = get_profile.sync(client=person)
    assert empty.gender is None and empty.name is None, empty
    profile = CompleteProfileRequest(
        name="Gaurav Kumar", birth_date=date(1995, 1, 1), gender=Gender.MALE, event_interests=[1, 2],
        profile_pictures=["https://example.com/a.jpg"],
    )
    assert complete_profile.sync(client=person, body=profile).data.gender == Gender.MALE
    assert get_profile.sync(client=person).gender == Gender.MALE

    stranger = LoginByPasswordRequest(username="nobody", password="wistful-otter-71")
    refused(login.sync(client=client, body=stranger), ErrorCode.CREDENTIALS_INVALID)
    sent = login.sync(client=client, body=LoginByPhoneRequest(phone_number=PHONE))
    assert isinstance(sent, SuccessCodeSentData), sent
    code = VerifyRequest(phone_number=PHONE, otp_code=newest_code(server))
    logged_in = verify_login.sync(client=client, body=code)
    assert logged_in.data.name == "Gaurav Kumar", logged_in
    refused(verify_login.sync(client=client, body=code), ErrorCode.OTP_NOT_FOUND)

    pair = refresh.sync(client=client, body=RefreshRequest(refresh=logged_in.data.refresh_token))
    person = AuthenticatedClient(base_url=server.base, token=pair.access)
    assert get_profile.sync(client=person).phone_number == PHONE
    assert logout.sync(client=person, body=LogoutRequest()).success
    refused(get_profile.sync(client=person), ErrorCode.TOKEN_REVOKED)


def main():
    with Auth(BINARY, os.path.join(SCRATCH, "server"), SETTINGS) as server:
        walk(server)
        program = os.path.join(SCRATCH, "typescript", "built", "walk.js")
        subprocess.run(["node", program, server.base], check=True, timeout=60)
    print("generated clients: 2 passed, 0 failed")


main()

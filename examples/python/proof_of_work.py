"""Answers a proof of work of loopin-auth: docs/BOT_PROOF.md says when one is required.

usage: proof_of_work.py <challenge> <difficulty>
"""

import hashlib
import itertools
import sys


def answer(challenge, difficulty):
    # What all attempts begin with is hashed once.
    start = hashlib.sha256(f"{challenge}.".encode())
    for number in itertools.count():
        attempt = start.copy()
        attempt.update(str(number).encode())
        if int.from_bytes(attempt.digest(), "big") >> (256 - difficulty) == 0:
            return f"{challenge}.{number}"


if __name__ == "__main__":
    print(answer(sys.argv[1], int(sys.argv[2])))

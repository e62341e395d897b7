"""Users that sign up, guess codes and sign in at both copies, and what they were told."""

import base64
import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

# A server answers within 15 seconds, whatever happens.
PATIENCE = 20
MOST_ATTEMPTS = 3

PROFILE = {
    "birth_date": "1995-01-01", "gender": "male", "event_interests": [1, 2], "profile_pictures": ["https://example.com/pic1.jpg"],
}


class Unanswered(Exception):
    """The user goes no further: an answer was lost, or the database was away. The verdict decides whether that may be."""


class Answer:
    def __init__(self, copy, step, began, status, body, broken=""):
        self.copy, self.step, self.began, self.ended = copy, step, began, time.monotonic()
        self.status, self.body, self.broken = status, body, broken

    @property
    def code(self):
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error.get("code", "") if isinstance(error, dict) else ""

    @property
    def is_lost(self):
        return self.status == 0 or self.status == 503 and self.code in ("database_unavailable", "timeout")

    def __str__(self):
        what = self.broken or f"{self.status} {self.code or self.body}"
        return f"{self.step} at {self.copy}: {what}, after {self.ended - self.began:.1f} s"


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class Session:
    """What the newest answer said about a session. It is unsure after a lost answer: the database may know more."""

    def __init__(self, sid, user, refresh):
        self.sid, self.user, self.refresh = sid, user, refresh
        self.is_unsure = self.has_ended = self.may_have_ended = False


class Told:
    """Everything that was answered with 200, and every other answer that was not right."""

    def __init__(self):
        self.lock = threading.Lock()
        self.deliveries, self.accounts, self.names, self.sessions = [], {}, {}, []
        self.wrong, self.lost = [], []
        self.right = 0
        # When each copy answered right. A number for each answer: an hour has some hundred thousand.
        self.right_at = {}
        self.judged = {}

    def note(self, answer, is_right):
        with self.lock:
            if is_right:
                self.right += 1
                self.right_at.setdefault(answer.copy, []).append(answer.ended)
            elif answer.is_lost:
                self.lost.append(answer)
            else:
                self.wrong.append(str(answer))

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)


class User:
    """One person with one phone, who does one thing after another."""

    def __init__(self, worker, number):
        self.worker, self.told, self.random = worker, worker.told, worker.random
        # As the load test does: all prefixes of India's mobile numbers in turns, and an address of its own.
        self.phone = f"+91{8918 + number % 1082:04}{number // 1082 % 1_000_000:06}"
        self.address = f"198.{18 + (number >> 16) % 2}.{(number >> 8) % 256}.{number % 256}"

    def ask(self, step, method, path, body=None, token=None, right=(200,), copy=None):
        """An answer with a right status or a right error code. Without one the user stops."""
        time.sleep(self.worker.pause)
        copy = copy or self.random.choice(self.worker.fleet.copies)
        answer = self.worker.send(copy, step, method, path, body, token, self.address)
        is_right = answer.status in right or answer.code in right
        self.told.note(answer, is_right)
        if not is_right:
            raise Unanswered
        return answer

    def get_code(self, path):
        """Asks for a code, and reads it at the copy that sent it."""
        copy = self.random.choice(self.worker.fleet.copies)
        asked = self.ask(path, "POST", f"/api/auth/{path}", {"phone_number": self.phone}, copy=copy)
        with self.told.lock:
            self.told.deliveries.append((asked.body["data"]["delivery_id"], self.phone))
        self.challenge = asked.body["data"]["delivery_id"]
        inbox = self.ask("inbox", "GET", f"/dev/inbox.json?phone_number=%2B{self.phone[1:]}", copy=copy)
        return inbox.body["messages"][0]["otp_code"]

    def guess(self, step, code, right):
        """Sends a code. Of one code, no more answers than allowed may tell that it was looked at, and only one that it was right."""
        path = f"/api/auth/{step}"
        answer = self.ask(step, "POST", path, {"phone_number": self.phone, "otp_code": code}, right=right)
        if answer.code == "otp_invalid" or answer.status == 200:
            with self.told.lock:
                judged = self.told.judged.setdefault(self.challenge, [])
                judged.append(answer.status)
                if len(judged) > MOST_ATTEMPTS or judged.count(200) > 1:
                    self.told.wrong.append(f"the code of {self.challenge} was judged too often: {judged}")
        return answer

    def guess_wildly(self, code):
        """Wrong codes, four at a time at both copies, also while something is down, until they are refused."""
        wrong = [f"{(int(code) + step) % 10000:04}" for step in range(1, 41)]
        right = ("otp_invalid", "otp_attempts_exhausted")

        def one(guess):
            try:
                return self.guess("verify-otp", guess, right).code
            except Unanswered:
                time.sleep(0.1)
                return None

        for start in range(0, len(wrong), 4):
            codes = list(self.worker.pool.map(one, wrong[start:start + 4]))
            if codes.count("otp_attempts_exhausted") == 4:
                break
        self.guess("verify-otp", code, ("otp_attempts_exhausted",))

    def sign_in(self, path, step, code):
        """With the right code. Some send it to both copies at once: one of them takes it."""
        if self.random.random() < 0.2:
            others = ("otp_not_found", "otp_attempts_exhausted")
            both = list(self.worker.pool.map(lambda _: self.attempt(step, code, (200, *others)), range(2)))
            answers = [answer for answer in both if answer and answer.status == 200]
            if not answers and None not in both:
                self.told.complain(f"of two right codes for {self.phone} none was taken: {[answer.code for answer in both]}")
        else:
            answers = [self.guess(step, code, (200,))]
        if not answers:
            raise Unanswered
        return self.signed_in(answers[0])

    def attempt(self, step, code, right):
        try:
            return self.guess(step, code, right)
        except Unanswered:
            return None

    def signed_in(self, answer):
        access, refresh = answer.body["token"], answer.body["data"]["refresh_token"]
        session = Session(claims(access)["sid"], answer.body["data"]["user_id"], refresh)
        with self.told.lock:
            known = self.told.accounts.setdefault(self.phone, session.user)
            self.told.sessions.append(session)
        if known != session.user:
            self.told.complain(f"{self.phone} has two accounts: {known} and {session.user}")
        return access, session

    def complete_profile(self, access):
        name = "User " + "".join(self.random.choices("abcdefghij", k=8))
        self.ask("complete-profile", "POST", "/api/auth/complete-profile", {"name": name, **PROFILE}, access)
        with self.told.lock:
            self.told.names[self.phone] = name

    def renew(self, session):
        try:
            answer = self.ask("refresh", "POST", "/api/auth/refresh", {"refresh": session.refresh})
        except Unanswered:
            session.is_unsure = True
            raise
        session.refresh = answer.body["refresh"]
        return answer.body["access"]

    def log_out(self, session):
        session.may_have_ended = True
        self.ask("logout", "POST", "/api/auth/logout", {"refresh": session.refresh})
        session.has_ended = True

    def live(self):
        code = self.get_code("signup")
        if self.random.random() < 0.3:
            return self.guess_wildly(code)
        access, session = self.sign_in("signup", "verify-otp", code)
        self.complete_profile(access)
        for _ in range(self.random.randrange(3)):
            access = self.renew(session)
            self.ask("profile", "GET", "/api/auth/profile", token=access)
        if self.random.random() < 0.3:
            self.log_out(session)
        if self.random.random() < 0.3:
            self.sign_in("login", "verify-login", self.get_code("login"))


class Worker(threading.Thread):
    """Takes one user after another."""

    numbers = iter(range(1, 10_000_000))
    counting = threading.Lock()

    def __init__(self, fleet, told, seed, pause=0.0):
        super().__init__(daemon=True)
        self.pause = pause
        self.fleet, self.told, self.random = fleet, told, random.Random(seed)
        self.pool = ThreadPoolExecutor(4)
        self.local = threading.local()

    def run(self):
        while not self.fleet.stopping.is_set():
            with Worker.counting:
                number = next(Worker.numbers)
            try:
                User(self, number).live()
            except Unanswered:
                # A client that gets no answer waits a moment.
                time.sleep(0.05)
            except Exception as error:  # The answer had another shape than the contract says, or this script is wrong.
                self.told.complain(f"{type(error).__name__}: {error}")
        self.pool.shutdown()

    def connection(self, copy):
        """Each thread keeps a connection to each process, as a load balancer does."""
        kept = self.local.__dict__.setdefault("connections", {})
        kills, connection = kept.get(copy.name, (-1, None))
        if kills != copy.kills:
            if connection:
                connection.close()
            kills = copy.kills
            connection = http.client.HTTPConnection("127.0.0.1", self.fleet.ports[copy.name], timeout=PATIENCE)
            kept[copy.name] = (kills, connection)
        return connection

    def send(self, copy, step, method, path, body, token, address):
        headers = {"X-Forwarded-For": address, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection, began = self.connection(copy), time.monotonic()
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
            return Answer(copy.name, step, began, response.status, json.loads(text))
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            return Answer(copy.name, step, began, 0, {}, f"{type(error).__name__} {error}")

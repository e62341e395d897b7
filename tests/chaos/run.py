#!/usr/bin/env python3
"""Kills and restarts parts of a fleet under load, and checks that nothing that was answered is lost.

usage: tests/chaos/run.py <server binary> [--seconds 30]

Two copies of the server are on one PostgreSQL behind PgBouncer in transaction mode. Users sign up, guess codes, sign in, save profiles, refresh
and log out at both copies. Meanwhile a copy, PgBouncer and PostgreSQL are killed with -9 in turns and started again; in a run of more than a
minute also all of them at once. The run fails if

- an answer with 200 is not in the database, or is there twice,
- a code was judged more than three times, or was right twice,
- a request failed while nothing was down, or more than five seconds after what was down was started again, or at the copy that was not down,
- an error was anything but a lost connection (of a killed copy) or a 503 (without the database).

`--commits off` switches off `synchronous_commit`: PostgreSQL then answers before a commit is safe, and a run has to fail. Everything is on
127.0.0.1, and goes at the end. Needs Python 3.9, PostgreSQL's server programs and PgBouncer.
"""

import argparse
import bisect
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fleet import Fleet
from load import Told, Worker, claims

# How long after its start a program may cause errors.
RECOVERY = 5.0
WORKERS = 6


class Outage:
    """From the kill until everything has to work again."""

    def __init__(self, programs):
        self.programs, self.name = programs, " + ".join(program.name for program in programs)
        self.copies = {program.name for program in programs if program.name.startswith("copy")}
        self.database = len(self.copies) < len(programs)
        self.began, self.restarted = time.monotonic(), None
        self.lost = 0
        self.last_lost = None

    def excuses(self, answer):
        """A copy that was killed loses its connections, and without the database both copies say so. A request that began before
        the kill may have met it; one that ends too late was not recovered in time."""
        if answer.ended < self.began or answer.ended > self.restarted + RECOVERY:
            return False
        return answer.copy in self.copies if answer.status == 0 else self.database


def kill_and_restart(programs, down):
    outage = Outage(programs)
    for program in programs:
        program.kill()
    time.sleep(down)
    # PostgreSQL first: a copy that starts waits for it.
    for program in programs:
        program.start()
    outage.restarted = time.monotonic()
    return outage


def cause_outages(fleet, seconds, dice):
    """One after the other, with a time in between in which nothing may fail. At least one of each kind."""
    end, outages = time.monotonic() + seconds, []
    kinds = [[fleet.copies[0]], [fleet.pgbouncer], [fleet.postgres], [fleet.copies[1]]]
    if seconds > 60:
        kinds += [fleet.programs, [fleet.postgres, fleet.copies[1]]]
    while True:
        dice.shuffle(kinds)
        for programs in kinds:
            if len(outages) >= len(kinds) and time.monotonic() + RECOVERY > end:
                return outages
            time.sleep(dice.uniform(0.7, 1.2))
            outages.append(kill_and_restart(programs, dice.uniform(0.3, 1.2)))
            time.sleep(RECOVERY)


def judge_answers(told, outages):
    wrong = list(told.wrong)
    for answer in told.lost:
        outage = next((outage for outage in outages if outage.excuses(answer)), None)
        if outage:
            outage.lost += 1
            outage.last_lost = max(outage.last_lost or 0, answer.ended)
        else:
            since = [f"{answer.ended - outage.restarted:.1f} s after the restart of {outage.name}"
                     for outage in outages if outage.began <= answer.ended][-1:] or ["before any outage"]
            wrong.append(f"failed while nothing was down: {answer}, {since[0]}")
    for copy in ("copy 1", "copy 2"):
        right_at = sorted(told.right_at.get(copy, []))
        for outage in outages:
            after = bisect.bisect_left(right_at, outage.restarted)
            if after == len(right_at) or right_at[after] > outage.restarted + RECOVERY:
                wrong.append(f"{copy} gave no right answer within {RECOVERY:.0f} s after the restart of {outage.name}")
    return wrong


def judge_rows(fleet, told):
    """Every answer with 200 is in the database once."""
    wrong = []
    deliveries, accounts, sessions = {}, {}, {}
    for delivery, phone, rows in fleet.psql("SELECT delivery_id, min(phone), count(*) FROM messages GROUP BY 1"):
        deliveries[delivery] = (phone, rows)
    leads = {phone: rows for phone, rows in fleet.psql("SELECT phone, count(*) FROM leads GROUP BY 1")}
    for phone, rows, user, name in fleet.psql("SELECT phone, count(*), min(id::text), min(name) FROM accounts GROUP BY 1"):
        accounts[phone] = (rows, user, name)
    for sid, *row in fleet.psql("SELECT id, account_id, refresh_jti, coalesce(parent_jti::text, ''), ended_at IS NOT NULL FROM sessions"):
        sessions[sid] = row
    for delivery, phone in told.deliveries:
        if deliveries.get(delivery) != (phone, "1") or leads.get(phone) != "1":
            wrong.append(f"a code for {phone} was sent, and its rows are {deliveries.get(delivery)} and {leads.get(phone)}")
    for phone, user in told.accounts.items():
        if accounts.get(phone, ())[:2] != ("1", user):
            wrong.append(f"{phone} was signed in as {user}, and its row is {accounts.get(phone)}")
    for phone, name in told.names.items():
        if accounts.get(phone, ("", "", ""))[2] != name:
            wrong.append(f"{phone} saved the name {name}, and its row is {accounts.get(phone)}")
    for session in told.sessions:
        wrong += judge_session(session, sessions.get(session.sid))
    for phone, attempts in fleet.psql("SELECT phone, attempts FROM challenges WHERE attempts > 3"):
        wrong.append(f"a code of {phone} has {attempts} attempts")
    return wrong


def judge_session(session, row):
    if row is None or row[0] != session.user:
        return [f"a session of {session.user} was opened, and its row is {row}"]
    newest, parent, has_ended = row[1], row[2], row[3] == "t"
    known = claims(session.refresh)["jti"]
    if known != newest and not (session.is_unsure and known == parent):
        return [f"a session of {session.user} was refreshed to {known}, and its row says {newest} after {parent}"]
    if session.has_ended and not has_ended or has_ended and not session.may_have_ended:
        return [f"a session of {session.user} has ended: {has_ended}, and its user was told {session.has_ended}"]
    return []


def report(told, outages, seconds):
    print(f"{told.right} right answers in {seconds:.0f} s: {len(told.deliveries)} codes sent, {len(told.accounts)} accounts, "
          f"{len(told.sessions)} sessions, {len(told.judged)} codes judged, {len(told.lost)} answers lost")
    print(f"{'killed':<40} times  answers lost  last error, seconds after the restart: median, worst")
    for name in sorted({outage.name for outage in outages}):
        of_name = [outage for outage in outages if outage.name == name]
        last = sorted(max(0, (outage.last_lost or 0) - outage.restarted) for outage in of_name)
        lost = sum(outage.lost for outage in of_name)
        print(f"{name:<40} {len(of_name):>5} {lost:>13}  {last[len(last) // 2]:.1f}, {last[-1]:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=int, default=30, help="at most a day")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the order of the kills")
    parser.add_argument("--commits", choices=("on", "off"), default="on", help="synchronous_commit of PostgreSQL")
    parser.add_argument("--server-login-retry", type=int, default=1, help="of PgBouncer, in seconds")
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS",
                        help="of a user between two requests: a long run then leaves the machine to others, too")
    parser.add_argument("--logs", metavar="FOLDER", help="keep the logs of all programs there")
    options = parser.parse_args()
    print(f"chaos for {options.seconds} s, --seed {options.seed}", flush=True)
    told = Told()
    with Fleet(os.path.realpath(options.binary), options.commits, options.server_login_retry) as fleet:
        workers = [Worker(fleet, told, f"{options.seed}-{number}", options.pause) for number in range(WORKERS)]
        began = time.monotonic()
        for worker in workers:
            worker.start()
        outages = cause_outages(fleet, min(options.seconds, 86_400), random.Random(options.seed))
        fleet.stopping.set()
        for worker in workers:
            worker.join(60)
        wrong = judge_answers(told, outages) + judge_rows(fleet, told)
        report(told, outages, time.monotonic() - began)
        if options.logs:
            os.makedirs(options.logs, exist_ok=True)
            for program in fleet.programs:
                with open(os.path.join(options.logs, program.name.replace(" ", "-") + ".log"), "w", encoding="utf-8") as file:
                    file.write(program.log())
    for line in wrong[:20]:
        print("!!", line)
    if wrong or told.right < 100:
        raise SystemExit(f"{len(wrong)} things are wrong, of {told.right} right answers")
    print("chaos: all of it is right")


if __name__ == "__main__":
    main()

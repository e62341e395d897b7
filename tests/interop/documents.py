"""Runs what docs/INTEGRATION.md tells people to run, and compares the answers with those that it shows.

A block of `sh` that has `curl`, `loopin-auth` or `$ACCESS` in it is run; a block of `json` right after it is its answer: the same fields,
each of the same kind, and the same words where they are no token, id or time. `$ACCESS`, `$REFRESH` and `$CODE` are filled from
the answers before, as the page says.
"""

import json
import os
import re
import subprocess

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "INTEGRATION.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_SECONDS = 30

# Texts that are new each time: tokens, ids, times, and what the page leaves out.
NEW_EACH_TIME = re.compile(r"^(eyJ.*|[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT.*|.*….*|\d{4,8})$", re.DOTALL)


def differences(shown, found, where="answer"):
    """Where an answer is not what the page shows."""
    if isinstance(shown, dict) and isinstance(found, dict):
        if shown.keys() != found.keys():
            return [f"{where} has {sorted(found)} and not {sorted(shown)}"]
        return [difference for name in shown for difference in differences(shown[name], found[name], f"{where}.{name}")]
    if isinstance(shown, list) and isinstance(found, list):
        if bool(shown) != bool(found):
            return [f"{where} is {found}"]
        return [difference for one in found for difference in differences(shown[0], one, f"{where}[]")]
    if isinstance(shown, str) and isinstance(found, str) and NEW_EACH_TIME.match(shown):
        return []
    if isinstance(shown, int) and isinstance(found, int) and not isinstance(shown, bool):
        return []
    return [] if shown == found else [f"{where} is {found!r} and not {shown!r}"]


def read(text):
    try:
        return json.loads(text)
    except ValueError:
        return {"not JSON": text[-500:]}


def remember(variables, answer):
    answer = answer if isinstance(answer, dict) else {}
    data = answer.get("data") if isinstance(answer.get("data"), dict) else {}
    messages = answer.get("messages") or [{}]
    news = {
        "ACCESS": answer.get("access") or answer.get("token"),
        "REFRESH": answer.get("refresh") or data.get("refresh_token"),
        "CODE": messages[0].get("otp_code"),
    }
    variables.update({name: value for name, value in news.items() if isinstance(value, str)})


def runs(language, text):
    return language == "sh" and any(word in text for word in ("curl ", "loopin-auth ", "$ACCESS"))


def walk(report, auth, service, tools):
    with open(PAGE, encoding="utf-8") as page:
        blocks = BLOCK.findall(page.read())
    variables = {"PATH": f"{tools}:{os.environ['PATH']}", "LANG": "C.UTF-8"} | auth.settings
    ran = 0
    for place, (language, text) in enumerate(blocks):
        if not runs(language, text):
            continue
        ran += 1
        command = text.replace("http://localhost:8000", auth.base).replace("http://localhost:3000", service.base)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=auth.folder, env=variables, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
        )
        what = " ".join(text.split())[:70]
        answer = read(done.stdout)
        remember(variables, answer)
        report.check(f"`{what}` runs", done.returncode == 0, done.stderr[-500:])
        following = blocks[place + 1] if place + 1 < len(blocks) else ("", "")
        if following[0] != "json":
            continue
        missing = differences(json.loads(following[1]), answer)
        report.check(f"`{what}` answers what the page shows", not missing, "; ".join(missing))
    report.check("the page has commands", ran > 10, ran)

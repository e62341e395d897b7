"""Compares the numbers that the server reads with those of libphonenumber, the reference implementation.

usage: check.py WHEEL READER [ROUNDS]

WHEEL is a wheel of the package `phonenumbers`, READER the program of phones.rs. Numbers are made from every pattern of
every region, right and wrong by a digit, and written in each way that people write them. ROUNDS (1) is how many of each.
"""

import random
import re
import subprocess
import sys
from collections import Counter

if sys.version_info >= (3, 11):
    from re import _parser as sre
else:
    import sre_parse as sre

sys.path.insert(0, sys.argv[1])
import phonenumbers
from make import KINDS, leads_abroad_by_00
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumberFormat, PhoneNumberType
from phonenumbers.phonemetadata import PhoneMetadata

TAKEN = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER,
}
# Where numbers of other countries are read as well: most of all countries whose own beginnings can be mistaken.
HOMES = ["IN", "CN", "US", "GB", "DE", "RU", "BR", "SG", "IT", "GA", "CI", "AR", "HU", "BY", "MX", "JP", "BM"]
# How many of a list of disagreements are printed.
SHOWN = 20

chance = random.Random(20261106)


def choices(part, value):
    """The digits of a part of a character class."""
    if part == "LITERAL":
        return {chr(value)}
    if part == "RANGE":
        return {chr(digit) for digit in range(value[0], value[1] + 1)}
    return set("0123456789")


def fitting(parsed):
    """Digits that a pattern fits, by chance."""
    text = ""
    for kind, what in parsed:
        kind = str(kind)
        if kind == "LITERAL":
            text += chr(what)
        elif kind == "IN":
            text += chance.choice(sorted(set().union(*(choices(str(part), value) for part, value in what))))
        elif kind == "BRANCH":
            text += fitting(chance.choice(what[1]))
        elif kind == "SUBPATTERN":
            text += fitting(what[-1])
        elif kind == "MAX_REPEAT":
            least, most, inner = what
            text += "".join(fitting(inner) for _ in range(chance.randint(least, min(most, 15))))
        elif kind != "AT":
            raise ValueError(f"no such thing is known of patterns: {kind}")
    return text


def plans():
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            if region == "001":
                yield code, region, PhoneMetadata.metadata_for_nongeo_region(code)
            else:
                yield code, region, PhoneMetadata.metadata_for_region(region)


def numbers_of(plan, rounds):
    """National numbers: the examples of libphonenumber, and what fits its patterns."""
    for attribute in [*KINDS.values(), "general_desc"]:
        kind = getattr(plan, attribute)
        if kind is None or not kind.national_number_pattern:
            continue
        if kind.example_number:
            yield kind.example_number
        parsed = sre.parse(kind.national_number_pattern)
        for _ in range(rounds * (2 if attribute in ("mobile", "general_desc") else 1)):
            yield fitting(parsed)


def mistyped(digits):
    """The same with a digit wrong, one too many and one too few."""
    place = chance.randrange(len(digits))
    yield digits[:place] + chance.choice("0123456789") + digits[place + 1 :]
    yield digits[:place] + chance.choice("0123456789") + digits[place:]
    yield digits[:place] + digits[place + 1 :]


def written(code, region, plan, national):
    """Every way of writing it, each with a region in which it is written so."""
    international = f"{code}{national}"
    home = region if region != "001" else "IN"
    yield chance.choice(HOMES), f"+{international}"
    yield home, f"00{international}"
    yield chance.choice(HOMES), f"00{international}"
    for at in {home, chance.choice(HOMES)}:
        yield at, international
        yield at, national
    yield home, (plan.national_prefix or "0") + national
    wrong = list(mistyped(national))
    yield from ((home, text) for text in wrong)
    yield from (("IN", text) for text in wrong)
    yield from (("IN", f"+{code}{text}") for text in wrong)
    yield from ((home, text) for text in mistyped(international))


def cases(rounds):
    for code, region, plan in plans():
        for national in numbers_of(plan, rounds):
            for at, text in written(code, region, plan, national):
                yield at, text


def reference(region, text):
    """What libphonenumber makes of it: a number in E.164 that people have, or None; and how it was read."""
    try:
        number = phonenumbers.parse(text, None if text.startswith("+") else region, keep_raw_input=True)
    except NumberParseException:
        return None, None
    if phonenumbers.number_type(number) not in TAKEN:
        return None, number.country_code_source
    made = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return (made if len(made) <= 16 else None), number.country_code_source


def complaint(region, text, ours, plain):
    """What is wrong with our reading, if anything is."""
    taken = ours if ours.startswith("+") else None
    if text.startswith("00") and region not in plain:
        return None if ours == "NoPlus" else "taken, though 00 alone does not lead abroad"
    # Here 00 is a plus, for libphonenumber too.
    as_if = re.sub("^00", "+", text) if text.startswith("00") else text
    theirs, way = reference(region, as_if)
    if taken and not theirs and text.startswith(str(phonenumbers.country_code_for_region(region))):
        # Russian numbers in Kazakhstan: libphonenumber wants their plus, though the country code is the own one.
        theirs, way = reference(region, f"+{text}")
    if taken and taken != theirs:
        return f"another number than libphonenumber's {theirs}"
    if taken or not theirs:
        return None
    if as_if.startswith("+"):
        # Digits behind a plus are kept: what libphonenumber drops or puts in makes another number.
        return "not taken" if theirs == as_if else None
    if way == CountryCodeSource.FROM_NUMBER_WITH_IDD:
        return None
    if way == CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN and (theirs != f"+{text}" or ours == "NotPersonal"):
        # libphonenumber looks for the own country code first, and the server for a national number.
        return None
    return f"not taken ({ours}): libphonenumber has {theirs}"


def main():
    reader, rounds = sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1
    sent = list(dict.fromkeys(cases(rounds)))
    lines = "".join(f"{region}\t{text}\n" for region, text in sent)
    answers = subprocess.run([reader], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answers) == len(sent), (len(answers), len(sent))
    plain = {r for r in phonenumbers.SUPPORTED_REGIONS if leads_abroad_by_00(PhoneMetadata.metadata_for_region(r))}
    complaints, taken = Counter(), Counter()
    for (region, text), ours in zip(sent, answers):
        taken[ours.startswith("+")] += 1
        why = complaint(region, text, ours, plain)
        if why:
            complaints[why.split(" (")[0].split("'s ")[0]] += 1
            if complaints.total() <= SHOWN:
                print(f"{text} at {region} is read as {ours}: {why}")
    print(f"{len(sent)} numbers, of which {taken[True]} are taken; {complaints.total()} complaints {dict(complaints)}")
    # A check of nothing would be content with everything.
    sys.exit(bool(complaints) or taken[True] < 5_000 or taken[False] < 5_000)


if __name__ == "__main__":
    main()

"""Makes the file of numbering plans from a wheel of the package `phonenumbers`, which is libphonenumber's data in Python.

usage: make.py WHEEL FOLDER

Writes FOLDER/plans.json and FOLDER/LICENSE. The patterns stand there as they are, one plan per line, so that a new
version shows up in a diff country by country. What the server never asks for (formats, short numbers) is left out.
"""

import json
import re
import sys
import zipfile
from pathlib import Path

NOTICE = (
    "From libphonenumber, Copyright (C) The Libphonenumber Authors, under the Apache License 2.0 (see LICENSE). "
    "Changed: reduced to what numbers of people are told by. Made by tests/numbering_plans/make.py; do not edit."
)

# Our name of each kind of number, and libphonenumber's.
KINDS = {
    "premium_rate": "premium_rate",
    "toll_free": "toll_free",
    "shared_cost": "shared_cost",
    "voip": "voip",
    "personal": "personal_number",
    "pager": "pager",
    "company": "uan",
    "voicemail": "voicemail",
    "mobile": "mobile",
    "fixed_line": "fixed_line",
}


def numbers(description):
    """Which numbers are of a kind: a pattern of whole numbers, and their lengths."""
    return {"pattern": description.national_number_pattern, "lengths": sorted(description.possible_length)}


def leads_abroad_by_00(source):
    """Whether 00 leads abroad, and nothing longer or shorter that a number after 00 could be mistaken for."""
    prefix = re.compile(source.international_prefix or "$")
    found = (prefix.match(f"00{behind}") for behind in range(1000, 10_000))
    return all(match and match.end() == len("00") for match in found)


def plan(metadata, code, region):
    nowhere = region == "001"
    source = (metadata.metadata_for_nongeo_region if nowhere else metadata.metadata_for_region)(code if nowhere else region)
    made = {"region": region, "country_code": str(code)}
    if source.leading_digits:
        made["leading_digits"] = source.leading_digits
    if source.national_prefix_for_parsing:
        made["national_prefix"] = source.national_prefix_for_parsing
    if source.national_prefix_transform_rule:
        # Python writes a group as \1, Rust as ${1}.
        made["prefix_becomes"] = re.sub(r"\\(\d)", r"${\1}", source.national_prefix_transform_rule)
    if leads_abroad_by_00(source):
        made["abroad_by_00"] = True
    made["general"] = numbers(source.general_desc)
    for ours, theirs in KINDS.items():
        description = getattr(source, theirs)
        if ours == "mobile" and source.same_mobile_and_fixed_line_pattern:
            description = source.fixed_line
        if description is not None and description.national_number_pattern:
            made[ours] = numbers(description)
    return made


def main():
    wheel, folder = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, wheel)
    import phonenumbers
    from phonenumbers.phonemetadata import PhoneMetadata

    with zipfile.ZipFile(wheel) as files:
        # libphonenumber's data has no date of its own. The package is made from it within days.
        year, month, day, *_ = max(file.date_time for file in files.infolist())
        [licence] = [name for name in files.namelist() if name.endswith("/licenses/LICENSE")]
        (folder / "LICENSE").write_bytes(files.read(licence))
    head = {
        "notice": NOTICE,
        "libphonenumber": phonenumbers.__version__,
        "released": f"{year}-{month:02}-{day:02}",
    }
    # In libphonenumber's order: of the regions that share a country code the main one comes first.
    plans = [
        plan(PhoneMetadata, code, region)
        for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items())
        for region in regions
    ]
    compact = {"separators": (",", ":")}
    lines = [f"{json.dumps(name)}:{json.dumps(value)}," for name, value in head.items()]
    text = "{\n" + "\n".join(lines) + '\n"plans":[\n' + ",\n".join(json.dumps(it, **compact) for it in plans) + "\n]}\n"
    (folder / "plans.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()

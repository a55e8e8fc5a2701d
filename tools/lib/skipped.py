#!/usr/bin/env python3
"""Prints what was skipped in a run of ctest, from its log: CMocka's tests (a program that skips one passes), guarantees
that had nothing to test, and tests of which ctest itself says so.

usage: skipped.py LastTest.log"""
import pathlib
import re
import sys

PROGRAM = re.compile(r"^\d+/\d+ Testing: (\S+)")
SKIPPED = re.compile(r"^\[  SKIPPED \] (\w+)$")  # the summary begins so, too, with more than a word
NOT_TESTED = re.compile(r"^(\w+) on ours not tested: (.*)$")
BY_CTEST = re.compile(r"^Skip regular expression found in output\. +Regex=\[(.*)\]$")


def skipped(lines):
    """Each once: CMocka names a test where it is skipped, and again at its end."""
    found, program = {}, "?"
    for line in lines:
        line = line.rstrip()
        begins = PROGRAM.match(line)
        if begins:
            program = begins.group(1)
        test, guarantee, whole = SKIPPED.match(line), NOT_TESTED.match(line), BY_CTEST.match(line)
        if test:
            found[f"{program}: {test.group(1)}"] = True
        elif guarantee:
            found[f"{program}: {guarantee.group(1)}: {guarantee.group(2)}"] = True
        elif whole:
            found[f"{program}: {whole.group(1)}"] = True
    return list(found)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    log = pathlib.Path(sys.argv[1])
    for each in skipped(log.read_text(errors="replace").splitlines()) if log.is_file() else []:
        print(each)


if __name__ == "__main__":
    main()

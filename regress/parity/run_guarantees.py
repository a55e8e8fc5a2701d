#!/usr/bin/env python3
"""Runs the named tests of regress/parity, one process each, and prints how each fares on libevent's select, on
libevent's own IOCP and on ours. Ours must hold in all of them; the others are for comparison, but for reports in
libevent's tracker, which must fare on libevent's own IOCP as ROWS says."""
import argparse
import collections
import fnmatch
import pathlib
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/lib"))
from run_program import STATUS_NOT_RUN, STATUS_TIMEOUT, run_program  # noqa: E402

COLUMNS = {
    "stock-select": ("guarantees-stock.exe", "select"),
    "stock-iocp": ("guarantees-stock.exe", "iocp"),
    "ours": ("guarantees-iocp.exe", "iocp"),
}

# What cannot be provoked with the real kernel under Wine, and where it is tested instead.
ELSEWHERE = {
    "r4 (WSAENOBUFS, WSAEMFILE), s2": "shortage of memory or handles: fake kernel",
    "r7": "random operations on plain events: the scripts of parity; against a model: fake kernel (unit-readiness_model)",
    "r8 (plain events)": "Wine refuses a loopback connect within connect(): fake kernel",
    "r9 (layered providers)": "Wine has none: fake kernel",
    "r10": "datagrams: unit-real_readiness",
    "r11": "timers: unit-real_loop, fake kernel; write timeouts: unit-slow_peers, unit-send_growth",
    "r14 (FALSE or TRUE with a packet queued), s1": "the kernel decides: fake kernel",
    "s11": "a port without a base, shut down under its threads: libevent's iocp/port, fake kernel",
    "s13": "the port cannot be created: fake kernel",
    "s14 (other providers)": "AF_UNIX, LSPs: not in Wine 8; fake kernel",
    "s17": "packets dequeued in batches: tools/bench",
    "s20": "signals need no sockets: unit-real_signals, unit-backend_signals",
}

# The library has nothing of the kind.
NOT_THERE = "none"
# What the test needs is not to be had here: it says so, and that it holds.
NOT_TESTED = "not tested"
NOTHING_TESTED = re.compile(r".*: nothing tested$", re.MULTILINE)

# How a report fares on libevent's own IOCP, in 2.1.12 and 2.1.13.
SHOWN = "shown"  # one of its tests fails there
MENDED = "mended in 2.1.9"  # with bufferevent_async.c of 2.1.8 linked into guarantees-stock its tests fail
NOT_SEEN = "not seen"  # nor was it reported of IOCP

# Reports in libevent's tracker by number: how they fare, and the tests, or patterns of them, that stand for each.
ROWS = {
    "255 (evhttp on IOCP accepts and never answers)": (MENDED, ["row255_*"]),
    "412 (regress with OpenSSL fails)": (SHOWN, ["row412_*"]),
    "491 (a second connect of a TLS bufferevent is not told)": (NOT_SEEN, ["row491_*"]),
    "663, 664 (an accept whose client is gone)": (SHOWN, ["r4_listener_survives_resets", "r4_ten_thousand_resets"]),
    "709 (bench_http on IOCP)": (MENDED, ["row709_*"]),
    "794 (evhttp does not read while it has a request)": (SHOWN, ["row794_*"]),
    "957 (illegal connection state 7)": (SHOWN, ["r1_http_pipelined_requests_with_slow_replies"]),
    "1081 (the same under keep-alive load)": (SHOWN, ["row1081_*"]),
    "1174 (evhttp's client cannot connect)": (SHOWN, ["r3_http_client_is_answered",
                                                      "r3_http_client_is_told_of_a_closed_port",
                                                      "r3_enable_without_a_descriptor_then_connect"]),
    "1228 (replies lost after 100-continue)": (SHOWN, ["r2_http_expect_continue_keeps_every_reply",
                                                       "r2_write_callback_belongs_to_its_own_write"]),
}
OF_TLS = [row for row in ROWS if row.startswith(("412 ", "491 "))]  # a build without it lacks their tests
MORE_LOOKS = 2
WORST_FIRST = ["dies", "hangs", "fails", NOT_TESTED, "holds"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mingw", help="build folder")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="which to run, with commas between them")
    parser.add_argument("--rows", action="store_true", help="only the tests of reports in libevent's tracker")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="tests whose name matches")
    parser.add_argument("--limit", type=int, default=60, metavar="S", help="seconds until a test counts as hung (60)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each N times, take the worst")
    parser.add_argument("--verbose", action="store_true", help="show what failing tests print in every column")
    arguments = parser.parse_args()
    arguments.columns = arguments.columns.split(",")
    unknown = [name for name in arguments.columns if name not in COLUMNS]
    if unknown:
        parser.error(f"no column {unknown[0]}: there are {', '.join(COLUMNS)}")
    return arguments


def run(arguments, column, test):
    """Outcome and output of one run."""
    program, backend = COLUMNS[column]
    with tempfile.TemporaryFile() as output:
        status = run_program(arguments.build / "bin/parity" / program, [test, backend] if test else ["--list"],
                             arguments.limit, output)
        output.seek(0)
        text = output.read().decode("utf-8", "replace").replace("\r\n", "\n")
    if status == STATUS_NOT_RUN:
        sys.exit(f"{program} cannot be run: {text}")
    if status == 0 and (not test or "holds" in text):
        return (NOT_TESTED if NOTHING_TESTED.search(text) else "holds"), text
    if status == STATUS_TIMEOUT:
        return "hangs", text
    return ("fails" if status == 1 and "FAILS" in text else "dies"), text


def run_started(arguments, column, test):
    """A program that prints nothing at all was not started by Wine, which happens; then once more."""
    outcome, text = run(arguments, column, test)
    if outcome == "dies" and not text.strip():
        print(f"{test} on {column} has printed nothing, and is run once more")
        outcome, text = run(arguments, column, test)
    return outcome, text


def run_repeatedly(arguments, column, test):
    for _ in range(arguments.repeat):
        outcome, text = run_started(arguments, column, test)
        if outcome not in ("holds", NOT_TESTED):
            break
    return outcome, text


def first_complaint(text):
    found = re.search(r"[^/\n]*:\d+: not true: .*", text) or NOTHING_TESTED.search(text)
    return found.group(0) if found else (text.strip().splitlines() or ["(nothing printed)"])[-1]


def belongs(test, patterns):
    return any(fnmatch.fnmatch(test, pattern) for pattern in patterns)


def tests_of(row, outcomes):
    return [test for test in outcomes if belongs(test, ROWS[row][1])]


def rows_not_as_told(outcomes):
    """Reports that stock IOCP does not show, or shows, against what ROWS says."""
    found = []
    for row, (on_stock, _) in ROWS.items():
        seen = {outcomes[test].get("stock-iocp", "not run") for test in tests_of(row, outcomes)}
        if not seen & {"not run", NOT_TESTED} and seen and (seen == {"holds"}) == (on_stock == SHOWN):
            found.append(row)
    return found


def look_again(arguments, outcomes):
    """Some defects of libevent's IOCP are races between its threads."""
    for _ in range(MORE_LOOKS):
        for row in rows_not_as_told(outcomes):
            for test in tests_of(row, outcomes):
                outcomes[test]["stock-iocp"], _ = run_started(arguments, "stock-iocp", test)


def report_rows(outcomes, columns):
    """The outcome of each report in each column, which is the worst of its tests. Returns what is wrong with that."""
    print("\nReports in libevent's tracker:")
    width = max(map(len, ROWS))
    for row, (on_stock, _) in ROWS.items():
        tests = tests_of(row, outcomes)
        if not tests:
            print(f"  {row:{width}} no test in this build")
            continue
        worst = {column: min((outcomes[test][column] for test in tests), key=WORST_FIRST.index) for column in columns}
        print(f"  {row:{width}}", *(f"{outcome:13}" for outcome in worst.values()),
              on_stock if on_stock != SHOWN else "")
        print(*(f"      {test}" for test in tests), sep="\n")
    print()
    with_tls = any(test.startswith("tls_") for test in outcomes)
    untested = [row for row in ROWS if not tests_of(row, outcomes) and (with_tls or row not in OF_TLS)]
    return [f"{row}: it has no test" for row in untested] + [f"{row}: on stock IOCP it is not as told, {ROWS[row][0]}" for row in rows_not_as_told(outcomes)]


def tests_in(arguments, column):
    outcome, text = run(arguments, column, None)
    tests = re.findall(r"^[a-z0-9]+_\w+", text, re.MULTILINE)
    if outcome != "holds" or not tests:
        sys.exit("cannot list the tests:\n" + text)
    return tests


def selected(tests, arguments):
    unknown = [pattern for pattern in arguments.only if not any(belongs(test, [pattern]) for test in tests)]
    if unknown:
        sys.exit(f"run_guarantees: no test matches {unknown[0]}")
    if arguments.rows:
        tests = [test for test in tests if any(belongs(test, patterns) for _, patterns in ROWS.values())]
    if arguments.only:
        tests = [test for test in tests if belongs(test, arguments.only)]
    if not tests:
        sys.exit("run_guarantees: no test matches")
    return tests


def main():
    arguments = parse_arguments()
    columns = arguments.columns
    listed = {column: tests_in(arguments, column) for column in columns}
    tests = selected(listed[columns[-1]], arguments)
    started = time.monotonic()
    outcomes = {}
    complaints = []
    width = max(map(len, tests), default=0)
    print(" " * width, *(f"{column:13}" for column in columns))
    for test in tests:
        row = []
        outcomes[test] = {}
        for column in columns:
            outcome, text = NOT_THERE, ""
            if test in listed[column]:
                outcome, text = run_repeatedly(arguments, column, test)
            outcomes[test][column] = outcome
            row.append(f"{outcome:13}")
            if outcome not in ("holds", NOT_THERE) and (arguments.verbose or column == "ours"):
                complaints.append(f"{test} on {column} {outcome}: {first_complaint(text)}")
        print(f"{test:{width}}", *row, flush=True)
    # A part of a report's tests need not show it.
    wrong = []
    if not arguments.only:
        look_again(arguments, outcomes)
        wrong = report_rows(outcomes, columns)
    complaints += wrong
    for column in columns:
        seen = collections.Counter(outcome.get(column, "none") for outcome in outcomes.values())
        print(f"{column}: " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(seen.items())))
    print(*complaints, sep="\n")
    print("Tested elsewhere:", *(f"  {what}: {where}" for what, where in ELSEWHERE.items()), sep="\n")
    print(f"{len(tests)} tests, {time.monotonic() - started:.0f} s")
    held = all(outcome.get("ours", "holds") in ("holds", NOT_TESTED) for outcome in outcomes.values())
    return 0 if held and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())

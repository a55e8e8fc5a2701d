#!/usr/bin/env python3
"""Runs libevent's regress suite, one test a process, and compares our libraries with the stock ones.

Columns: stock (libevent's own build, on select), ours (our libraries, nothing switched on) and iocp
(our libraries, every base on the completion port by iocp_every_base: the environment would not do,
since a test makes a base that ignores it). A test that does worse in ours or
iocp than in stock is a regression, and makes the exit status 1. Where the column stock is not run,
every failure that expected.txt does not list is one.

Two more columns are run only when asked for, told and not judged: stock-iocp, libevent's build with
its own IOCP in every base, and wepoll, libevent's build on that backend, which 2.2 has.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools/lib"))
from run_program import STATUS_NOT_RUN, STATUS_TIMEOUT, run_program  # noqa: E402

COLUMNS = {"stock": ("stock", {}), "ours": ("iocp", {}), "iocp": ("every", {})}
FOR_COMPARISON = {"stock-iocp": ("stock-every", {}), "wepoll": ("stock", {"EVENT_NOWIN32": "1"})}
ALL_COLUMNS = {**COLUMNS, **FOR_COMPARISON}
# From best to worst. A crash and a hang are worse than a failed check.
OUTCOMES = ["pass", "skip", "fail", "crash", "hang"]
TIMEOUT = 60
# Enough to see that a known hang still hangs.
TIMEOUT_OF_KNOWN_HANG = 10
# tinytest names the test first of all: a program that prints nothing was not started by Wine, which happens.
STARTS = 2


class Result:
    """What one test did in one column: the worst of its repeats, and how often it was tried."""

    def __init__(self, outcome, status, seconds, output, retried=False):
        self.outcome = outcome
        self.status = status
        self.seconds = seconds
        self.output = output
        self.retried = retried

    def worse_than(self, outcome):
        return OUTCOMES.index(self.outcome) > OUTCOMES.index(outcome)


class Progress:
    """A line that is rewritten on a terminal, and now and then a new one elsewhere."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.bad = 0
        self.lock = threading.Lock()

    def add(self, column, result):
        with self.lock:
            self.done += 1
            self.bad += result.outcome not in ("pass", "skip")
            text = f"{column}: {self.done}/{self.total} run, {self.bad} not passed"
            if sys.stdout.isatty():
                print(f"\r{text}\033[K", end="" if self.done < self.total else "\n", flush=True)
            elif self.done % 100 == 0 or self.done == self.total:
                print(text, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mingw",
                        help="build folder (default: build/mingw)")
    parser.add_argument("--columns", default=",".join(COLUMNS),
                        help="columns to run, with commas between them (default: %(default)s)")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="run tests whose name matches, such as 'http/*'; may be repeated")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN",
                        help="leave out tests whose name matches; may be repeated")
    parser.add_argument("--repeat", type=int, default=1, metavar="N",
                        help="run each test N times and take its worst outcome")
    parser.add_argument("--retries", type=int, default=5, metavar="N",
                        help="run a test that fails a check up to N times more, alone: many measure "
                        "time (default 5; a crash or a hang gets no second chance; where stock passed at "
                        "once, ours has to pass most of these)")
    parser.add_argument("--timeout", type=int, default=TIMEOUT, metavar="S",
                        help=f"seconds after which a test hangs (default {TIMEOUT})")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time (default 2)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results there")
    arguments = parser.parse_args()
    arguments.columns = arguments.columns.split(",")
    unknown = [name for name in arguments.columns if name not in ALL_COLUMNS]
    if unknown:
        parser.error(f"no column {unknown[0]}: there are {', '.join(ALL_COLUMNS)}")
    return arguments


def built_version(build):
    """The version of the libevent that was built, such as 2.1.13."""
    header = build / "libevent/include/event2/event-config.h"
    found = re.search(r'#define EVENT__VERSION "([0-9.]+)', header.read_text()) if header.is_file() else None
    if not found:
        sys.exit(f"run_regress: no libevent is built in {build}: run 'tools/test build' first")
    return found.group(1)


def read_expected(version):
    expected = {}
    for line in (ROOT / "regress/expected.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, outcome, versions, reason = line.split(None, 3)
            if versions == "all" or version in versions.split(","):
                expected[name] = (outcome, reason)
    return expected


def regress_program(build, kind):
    program = build / "bin" / kind / "regress.exe"
    if not program.is_file():
        sys.exit(f"run_regress: {program} is not built: run 'tools/test build' first")
    return program


def run(program, arguments, timeout, extra):
    """The status of a program and its output."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("EVENT_")}
    environment.update(extra)
    with tempfile.TemporaryFile() as output:
        status = run_program(program, arguments, timeout, output, environment)
        output.seek(0)
        return status, output.read().decode("utf-8", "replace").replace("\r\n", "\n")


def list_tests(program):
    status, output = run(program, ["--list-tests"], TIMEOUT, {})
    names = [line.split()[0] for line in output.splitlines() if line.startswith("    ")]
    if status != 0 or not names:
        sys.exit(f"run_regress: {program} --list-tests failed:\n{output}")
    return names


def outcome_of(status, output):
    if status == STATUS_TIMEOUT:
        return "hang"
    if status == STATUS_NOT_RUN:
        sys.exit(f"run_regress: {output.strip()}")
    if status == 0:
        # tinytest counts a test that is off by default, and one that skipped itself, alike.
        return "pass" if "1 tests ok." in output else "skip"
    return "fail" if status == 1 and "TESTS FAILED" in output else "crash"


def run_once(arguments, column, name, timeout):
    kind, extra = ALL_COLUMNS[column]
    started = time.monotonic()
    # The process is the fork: no second one, and our time limit instead of tinytest's thread.
    for _ in range(STARTS):
        status, output = run(regress_program(arguments.build, kind),
                             ["--no-fork", "--timeout", "0", name], timeout, extra)
        if output.strip() or status in (0, STATUS_TIMEOUT):
            break
        print(f"{column}: {name} has printed nothing, status {status}: not started by Wine", flush=True)
    return Result(outcome_of(status, output), status, time.monotonic() - started, output)


def run_test(arguments, expected, column, name):
    timeout = arguments.timeout
    if column == "stock" and expected.get(name, ("",))[0] == "hang":
        timeout = min(timeout, TIMEOUT_OF_KNOWN_HANG)
    worst = None
    for _ in range(arguments.repeat):
        result = run_once(arguments, column, name, timeout)
        if worst is None or result.worse_than(worst.outcome):
            worst = result
    return worst


def run_again_alone(arguments, expected, column, name, failed, stock):
    """What becomes of a test that failed a check, with nothing beside it: http/bad_request wants two answers in 10 ms
    each, and fails on a busy machine in every column. Where stock passed at once, most of the tries have to pass: what
    only ours loses now and then would pass one of them, too."""
    passed_at_once = stock is not None and stock.outcome in ("pass", "skip") and not stock.retried
    wanted, passed = arguments.retries // 2 + 1 if passed_at_once else 1, 0
    for _ in range(arguments.retries):
        result = run_test(arguments, expected, column, name)
        passed += result.outcome in ("pass", "skip")
        if passed == wanted:
            result.output = failed.output
            result.retried = True
            return result
        if result.outcome in ("crash", "hang"):
            return result
    return failed


def run_column(arguments, expected, column, names, stock):
    """`stock`: its results, where it has run and this column is judged by them."""
    progress = Progress(len(names))
    results = {}

    def run_one(name):
        result = run_test(arguments, expected, column, name)
        progress.add(column, result)
        return name, result

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results.update(pool.map(run_one, names))
    for name, result in results.items():
        if result.outcome == "fail":
            results[name] = run_again_alone(arguments, expected, column, name, result, stock.get(name))
    return results


def allowed_outcome(table, expected, name):
    """The worst outcome that is no regression for a test."""
    if "stock" in table:
        return table["stock"][name].outcome
    # Without a comparison a skipped test is no news: what is skipped depends on the machine.
    return expected.get(name, ("skip",))[0]


def judged(table):
    return {column: results for column, results in table.items() if column not in FOR_COMPARISON}


def find_regressions(table, expected):
    found = []
    for column, results in judged(table).items():
        for name, result in results.items():
            if column == "stock":
                # Stock itself is checked too: a broken machine must not excuse our failures.
                allowed = expected.get(name, ("skip",))[0]
            else:
                allowed = allowed_outcome(table, expected, name)
            if result.worse_than(allowed):
                found.append((column, name, result, allowed))
    return found


def print_table(table, seconds):
    print(f"\n{'column':10}" + "".join(f"{outcome:>7}" for outcome in OUTCOMES) + f"{'seconds':>10}")
    for column, results in table.items():
        counts = [sum(r.outcome == outcome for r in results.values()) for outcome in OUTCOMES]
        print(f"{column:10}" + "".join(f"{count:7}" for count in counts) + f"{seconds[column]:10.0f}")


def excerpt(output):
    """The last lines of a test's output; of a crash dump only the message and the call chain."""
    before, found, dump = output.partition("Unhandled exception:")
    lines = before.strip().splitlines()[-15:]
    if found:
        chain = re.search(r"^Backtrace:\n(.*?)^Modules:", dump, re.DOTALL | re.MULTILINE)
        lines += chain.group(1).splitlines()[:15] if chain else dump.splitlines()[:15]
    return lines


def print_details(table, expected, regressions):
    for column, name, result, allowed in regressions:
        print(f"\nREGRESSION {column}: {name}: {result.outcome}, status {result.status} "
              f"(allowed: {allowed})")
        print("    " + "\n    ".join(excerpt(result.output)))
    regressed = {(column, name) for column, name, _, _ in regressions}
    for column, results in table.items():
        for name, result in results.items():
            if result.retried:
                print(f"note: {column}: {name} passed only when tried again, alone")
            elif result.outcome not in ("pass", "skip") and (column, name) not in regressed:
                told = "for comparison" if column in FOR_COMPARISON else "so does stock"
                reason = expected.get(name, ("", told))[1]
                print(f"note: {column}: {name}: {result.outcome} ({reason})")


def write_json(path, table, seconds):
    path.write_text(json.dumps({
        column: {
            "seconds": round(seconds[column], 1),
            "tests": {name: {"outcome": result.outcome, "seconds": round(result.seconds, 2),
                             "retried": result.retried} for name, result in results.items()},
        } for column, results in table.items()}, indent=1) + "\n")


def closing_line(table, regressions):
    regressed = {(column, name) for column, name, _, _ in regressions}
    outcomes = [result.outcome for column, results in judged(table).items()
                for name, result in results.items() if (column, name) not in regressed]
    passed, skipped = outcomes.count("pass"), outcomes.count("skip")
    known = len(outcomes) - passed - skipped
    return (f"{passed} passed, {len(regressions)} failed, {skipped} skipped"
            + (f", {known} as bad as on stock" if known else ""))


def selected(names, arguments):
    def matches(name, patterns):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    unknown = [pattern for pattern in arguments.only if not any(matches(name, [pattern]) for name in names)]
    if unknown:
        sys.exit(f"run_regress: no test matches {unknown[0]}")
    return [name for name in names
            if (not arguments.only or matches(name, arguments.only))
            and not matches(name, arguments.exclude)]


def main():
    arguments = parse_arguments()
    version = built_version(arguments.build)
    expected = read_expected(version)
    print(f"libevent {version}")
    kind, _ = ALL_COLUMNS[arguments.columns[0]]
    names = selected(list_tests(regress_program(arguments.build, kind)), arguments)
    if not names:
        sys.exit("run_regress: no test matches")
    table, seconds = {}, {}
    for column in arguments.columns:
        started = time.monotonic()
        stock = table.get("stock", {}) if column in COLUMNS else {}
        table[column] = run_column(arguments, expected, column, names, stock)
        seconds[column] = time.monotonic() - started
    regressions = find_regressions(table, expected)
    print_details(table, expected, regressions)
    print_table(table, seconds)
    if arguments.json:
        write_json(arguments.json, table, seconds)
    print(closing_line(table, regressions))
    return 1 if regressions else 0


if __name__ == "__main__":
    sys.exit(main())

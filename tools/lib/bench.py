"""The part of tools/bench that measures and reports."""
import argparse
import http.client
import json
import pathlib
import subprocess
import time

import bench_bases
import bench_html
import bench_http
import bench_load
import bench_native
import bench_report
import bench_run
import bench_setting
import bench_steps
import bench_table
import calls
import traffic
from bench_rows import OURS, PEERS, ROWS, check_wepoll, default_peers, is_native


FAILURES = (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError)


def parse():
    parser = argparse.ArgumentParser(prog="tools/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peers", default=",".join(default_peers()))
    parser.add_argument("--output", type=pathlib.Path, default=traffic.ROOT / "build/bench")
    parser.add_argument("rows", nargs="*", metavar="row")
    return parser.parse_args()


def chosen(names, known, what):
    for name in names:
        traffic.require(name in known, f"there is no {what} {name}; there are: {', '.join(known)}")
    return names


def progress(text):
    print(f"bench: {text}", flush=True)


def rotated(items, by):
    by %= len(items) or 1  # a row may be left out on all peers that were asked for
    return items[by:] + items[:by]


def time_row(row, peer, pace, result):
    if row.work == "memory":
        if result.bytes is None:
            bench_run.measure_memory(row, peer, pace, result)
    elif row.work == "waiting":
        bench_run.time_waiting(row, peer, pace, result)
    elif row.work in ("http", "https"):
        bench_http.time_row(row, peer, pace, result)
    else:
        bench_run.time_row(row, peer, pace, result)


def count_row(counter, row, peer, pace, result):
    if is_native(row):
        bench_native.count_row(counter, row, peer, pace, result)
    elif row.work in ("http", "https"):
        bench_http.count_row(counter, row, peer, result)
    elif row.work == "waiting":
        bench_run.measure_waiting(row, peer, pace, result)
    elif row.work != "memory":
        bench_run.count_row(counter, row, peer, pace, result)


def attempt(result, measured, *arguments):
    """One peer's failure is told, and is not the end of the others."""
    try:
        measured(*arguments)
    except traffic.Failure as failure:
        result.failure = str(failure)
    except FAILURES as error:  # of a server that has ended, or of what it said
        result.failure = repr(error)
    else:
        return
    progress(f"FAILED: {result.failure}")


def measure(rows, peers, pace, passes):
    results = {row.name: {peer: bench_run.Result() for peer in peers if peer not in row.left_out}
               for row in rows}
    with calls.CallCounter() as counter:
        for row in rows:
            for peer, result in results[row.name].items():
                attempt(result, count_row, counter, row, peer, pace, result)
            progress(f"NT calls: {bench_report.line(row, results, bench_report.calls)}")
    for row in rows:
        if row.step_units and (not pace.smoke or row is rows[0]):
            for peer, result in results[row.name].items():
                if peer in bench_steps.STEPPED:
                    attempt(result, bench_steps.count_row, row, peer, pace, result)
            progress(f"instructions: {bench_report.line(row, results, bench_report.instructions)}")
    for number in range(passes):
        for result in (each for peers_of in results.values() for each in peers_of.values()):
            result.begin_pass()
        for position, row in enumerate(rows):
            # Another peer first each time, so that none is always the one after a pause.
            present = {peer: results[row.name][peer] for peer in rotated(list(results[row.name]), number + position)}
            if is_native(row):
                bench_native.time_row(row, present, pace, attempt)
            else:
                for peer, result in present.items():
                    attempt(result, time_row, row, peer, pace, result)
            progress(f"time, pass {number + 1} of {pace.passes}: "
                     f"{bench_report.line(row, results, bench_report.time_or_bytes)}")
    return results


def write(folder, rows, peers, results, known, bases):
    folder.mkdir(parents=True, exist_ok=True)
    report = {row.name: {"title": row.title, "unit": row.unit, "left_out": row.left_out,
                         "peers": {peer: result.as_json()
                                   for peer, result in results[row.name].items()}}
              for row in rows}
    missed = [(name, text) for name, good, text in bench_report.all_verdicts(rows, results, bench_bases.verdicts(bases[0])) if not good]
    (folder / "bench.json").write_text(json.dumps({"setting": known, "rows": report, "bases": bench_bases.as_json(*bases),
                                                   "missed": missed}, indent=1) + "\n")
    (folder / "bench.html").write_text(bench_html.page(rows, peers, results, known, bases))
    progress(f"written: {folder}/bench.json, {folder}/bench.html")


def smoke_failures(results):
    """What a run that is as short as can be shows all the same: ours is on the port, and asks no more of the kernel there."""
    # Of a row that measures how bases are made the program has none when it says what it runs on.
    allowed = {"startup": ("none",)}
    wrong = [f"{name}: ours runs on {peers[OURS].method}" for name, peers in results.items()
             if OURS in peers and not peers[OURS].failure and peers[OURS].method not in allowed.get(name, ("iocp",))]
    first = results.get("pingpong-1", {})
    ours, select = (first[peer].calls if peer in first else None for peer in (OURS, "select"))
    if ours is not None and select is not None and ours > select:
        wrong.append(f"pingpong-1: {ours:.2f} NT calls a round trip, and {select:.2f} on select")
    return wrong


def is_default(row, pace):
    """Is it measured where no rows are named?"""
    return row.quick or pace is bench_run.FULL or (pace.smoke and is_native(row))


def bench():
    arguments = parse()
    started = time.monotonic()
    pace = bench_run.FULL
    if arguments.quick or arguments.smoke:
        pace = bench_run.SMOKE if arguments.smoke else bench_run.QUICK
    names = chosen(arguments.rows, [row.name for row in ROWS] + bench_bases.NAMES, "row")
    rows = [row for row in ROWS if row.name in names or (not names and is_default(row, pace))]
    peers = chosen(arguments.peers.split(","), list(PEERS), "peer")
    check_wepoll(peers)
    if arguments.list:
        for row in ROWS:
            print(f"{row.name:20} {row.title}")
        for row in bench_bases.ROWS:
            print(f"{row.name:20} {row.title}")
        print(f"{bench_bases.MEMORY:20} memory of a base that does nothing")
    if arguments.tables:
        bench_table.update(arguments.output / "bench.json", [row.name for row in ROWS])
    if arguments.list or arguments.check or arguments.tables:
        return
    known = bench_setting.setting("counts alone" if arguments.calls else pace.name)
    if any(is_native(row) for row in rows):
        bench_load.build()
        bench_load.self_test()
    if any(row.step_units for row in rows):
        bench_steps.build()
    progress("starting Wine (seconds, the first time)")
    passes = 0 if arguments.calls else pace.passes
    results = measure(rows, peers, pace, passes) if rows else {}
    bases = bench_bases.measure(names or bench_bases.NAMES, peers, pace, passes)
    if not pace.smoke:
        if rows:
            bench_report.print_report(rows, peers, results, known)
        bench_bases.print_report(*bases)
        write(arguments.output, rows, peers, results, known, bases)
    failures = [result.failure for row in rows for result in results[row.name].values() if result.failure]
    failures += bench_bases.failures(*bases)
    failures += smoke_failures(results) if pace.smoke else []
    traffic.require(not failures, "\n".join(failures))
    progress(f"every result was right, in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("bench", bench)

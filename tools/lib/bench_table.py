"""Writes the tables of the READMEs from a run of tools/bench, between two marks. A run that has only counted
(--calls) gives no times, and the tables have none."""
import json
import re

import bench_report
import bench_setting
import traffic
from bench_rows import FLOOR, OURS, ROWS, is_native

BEGIN, END = "<!-- tools/bench --tables: begin -->", "<!-- end -->"
PEERS = (OURS, "select", "libuv", FLOOR)
HEADS = ("ours", "select", "libuv", "Win32")
MEASURES = (("nt_calls", "NT calls"), ("requests", "requests"), ("time_us", "us"))
# The main README's; the benchmarks' own has all that the run has measured.
FEW = ("pingpong-1", "pingpong-10-of-4000", "large-10", "churn", "plain-10-of-4000", "http-100", "https-100")
READMES = ((traffic.ROOT / "README.md", FEW, ("nt_calls", "time_us")),
           (traffic.ROOT / "tools/benchmarks/README.md", None, ("nt_calls", "requests", "time_us")))


def cell(report, row, peer, measure):
    """Blank where the row leaves the peer out, and for no other reason."""
    if peer in row.left_out:
        return ""
    found = report[row.name]["peers"].get(peer, {}).get(measure)
    traffic.require(found is not None, f"that run has no figure for {peer} in {row.name}")
    return bench_report.short(found)


def was_measured(report, measure):
    return any(found.get(measure) is not None for row in report.values() for found in row["peers"].values())


def lines(report, names, measures):
    chosen = [(measure, head) for measure, head in MEASURES if measure in measures and was_measured(report, measure)]
    heads = [f"{head}: {peer}" if peer == HEADS[0] else peer for _, head in chosen for peer in HEADS]
    yield "| What | " + " | ".join(heads) + " |"
    yield "|---" * (len(heads) + 1) + "|"
    for row in ROWS:
        if row.name not in report or row.work in ("memory", "waiting") or is_native(row):
            continue
        if names is None or row.name in names:
            cells = [cell(report, row, peer, measure) for measure, _ in chosen for peer in PEERS]
            yield f"| {row.title}: a {row.unit} | " + " | ".join(cells) + " |"


def with_table(text, table, name):
    pattern = re.compile(re.escape(BEGIN) + r"\n.*?" + re.escape(END), re.DOTALL)
    traffic.require(len(pattern.findall(text)) == 1, f"{name} has no place for a table, or more than one")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{table}\n\n{END}", text)


def idle(report):
    sizes = {peer: found["bytes"] for peer, found in report.get("idle", {"peers": {}})["peers"].items()}
    if not sizes.get(OURS):
        return ""
    others = ", ".join(f"{'Win32' if peer == FLOOR else peer} {size:,.0f}"
                       for peer, size in sizes.items() if peer != OURS and size)
    return f" One end of an idle connection costs {sizes[OURS]:,.0f} bytes ({others})."


def update(source):
    traffic.require(source.is_file(), f"there is no {source}: run tools/bench first")
    measured = json.loads(source.read_text())
    traffic.require("rows" in measured, f"{source} is of an older tools/bench: run it again")
    report = measured["rows"]
    failed = [f"{name}: {peer}" for name, row in report.items() for peer, found in row["peers"].items() if found["failure"]]
    traffic.require(not failed, f"that run has failures: {', '.join(failed)}")
    traffic.require(all(name in report for name in FEW), "that run has not measured all of the README's rows")
    texts = {}
    for path, names, measures in READMES:
        rows = "\n".join(lines(report, names, measures))
        setting = f"Measured on: {bench_setting.as_text(measured['setting'])}.{idle(report)}"
        texts[path] = with_table(path.read_text(), f"{rows}\n\n{setting}", path.name)
    for path, text in texts.items():
        path.write_text(text)
        print(f"bench: {path.relative_to(traffic.ROOT)} has the figures of {source}")

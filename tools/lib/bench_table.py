"""Writes the tables of the READMEs from a run of tools/bench, between two marks. A run that has only counted
(--calls) gives no times, and the tables have none."""
import json
import re
import statistics

import bench_bases
import bench_native_report
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


def table(head, body):
    """Of cells, with an empty line before it; nothing if the body is empty."""
    if not body:
        return ""
    written = [head, ["---"] * len(head), *body]
    return "\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in written)


def instructions(report):
    measures = (("instructions", "its own"), ("dll_instructions", "in DLLs"))
    head = ["Instructions", "this project's", *(f"{what}: {peer}" if peer == HEADS[0] else peer for _, what in measures for peer in HEADS)]
    return table(head, [[f"{row.title}: a {row.unit}", cell(report, row, OURS, "project_instructions"),
                         *(cell(report, row, peer, measure) for measure, _ in measures for peer in PEERS)]
                        for row in ROWS if row.name in report and report[row.name]["peers"].get(OURS, {}).get("instructions")])


def waits(report):
    """Callbacks, which no machine changes; times are in the report."""
    peers = PEERS[:3]
    return table(["Callbacks of others before an event's own: p50 / p99 / most", *HEADS[:3]],
                 [[f"{row.title}: a {event}", *(" / ".join(f"{value:.0f}" for value in found) if found else ""
                                               for found in (report[row.name]["peers"].get(peer, {}).get("waits", {}).get(event)
                                                             for peer in peers))]
                  for row in ROWS if row.work == "waiting" and row.name in report for event in bench_report.EVENTS])


def scale(report):
    """10 active ones of many connections, and what those take."""
    body = []
    for row in ROWS:
        if not row.idle or not is_native(row) or row.name not in report:
            continue
        for peer, head in zip(PEERS, HEADS):
            found = report[row.name]["peers"].get(peer)
            if found and found["grown"]:
                grown = found["grown"]
                figures = [found["nt_calls"], found["requests"], grown.get("nt_calls"), grown.get("requests"),
                           *(statistics.median(grown[name]) if grown.get(name) else None for name in ("bytes", "times_us"))]
                body.append([f"10 of {grown['connections'] + 10:,}: {head}", *map(bench_report.short, figures)])
    return table(["Echo, 64 B, to another process", "NT calls", "requests", "NT calls of each that comes", "requests", "bytes",
                  "us"], body)


# Of the rows in two processes: what is told, and under which load it was seen; NT calls are counted under none.
NATIVE_FIGURES = ((None, "nt_calls", "NT calls"), ("closed", "rate", "a second, closed"), ("closed", "p99", "p99, us"),
                  ("open", "p50", "p50, us, open"), ("open", "p99", "p99, us"))


def native_cell(found, load, figure):
    if found is None:
        return ""
    if load is None:
        return bench_report.short(found[figure])
    values = [phase[figure] for phase in found["loads"][load]]
    return bench_native_report.short(statistics.median(values)) if values else "-"


def two_processes(report):
    """A line for each row and peer: nobody can read all of it beside each other."""
    figures = [each for each in NATIVE_FIGURES if each[0] is None or any(
        found["loads"][each[0]] for row in report.values() for found in row["peers"].values())]
    body = [[f"{row.title}: {head}", *(native_cell(report[row.name]["peers"].get(peer), load, figure) for load, figure, _ in figures)]
            for row in ROWS if is_native(row) and not row.idle and row.name in report
            for peer, head in zip(PEERS, HEADS) if peer in report[row.name]["peers"]]
    return table(["The server of a Linux program: a request", *(head for *_, head in figures)], body)


def missed(targets):
    if not targets:
        return ""
    return "\n\nTargets that this run has missed:\n\n" + "\n".join(f"- `{name}`: {text}" for name, text in targets)


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


def update(source, every_row):
    """From a run of all rows: a table of some, or of several runs, would not be one of this tree."""
    traffic.require(source.is_file(), f"there is no {source}: run tools/bench first")
    measured = json.loads(source.read_text())
    traffic.require("missed" in measured, f"{source} is of an older tools/bench: run it again")
    report = measured["rows"]
    failed = [f"{name}: {peer}" for name, row in report.items() for peer, found in row["peers"].items() if found["failure"]]
    traffic.require(not failed, f"that run has failures: {', '.join(failed)}")
    lacking = [name for name in every_row if name not in report]
    lacking += [row.name for row in bench_bases.ROWS if row.name not in measured["bases"]["rows"]]
    traffic.require(not lacking, f"that run has not measured {', '.join(lacking)}")
    texts = {}
    for path, names, measures in READMES:
        rows = "\n".join(lines(report, names, measures))
        if names is None:
            rows += instructions(report) + waits(report) + two_processes(report) + scale(report) + missed(measured["missed"])
        setting = f"Measured on: {bench_setting.as_text(measured['setting'])}.{idle(report)}"
        texts[path] = with_table(path.read_text(), f"{rows}\n\n{setting}", path.name)
    for path, text in texts.items():
        path.write_text(text)
    bench_bases.update(measured)
    print(f"bench: {', '.join(str(path.relative_to(traffic.ROOT)) for path in texts)} have the figures of {source}")

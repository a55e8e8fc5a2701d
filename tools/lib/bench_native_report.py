"""What tools/bench says of its rows in two processes: throughput and latencies, closed and open."""
import html
import statistics

import bench_native
from bench_rows import is_native

LOADS = {
    "closed": "Closed: each connection asks again as soon as it has its answer",
    "open": "Open: requests are due at a fixed rate, and a latency counts from when its request was due",
}
COLUMNS = (("rate", "a second"), ("p50", "p50"), ("p99", "p99"), ("p99.9", "p99.9"), ("most", "most"))
GROWN_TITLE = "Idle connections come: of each, accepted and with its first answer, on the server alone"
GROWN = (("connections", "connections"), ("nt_calls", "NT calls"), ("requests", "requests"), ("times_us", "us"), ("bytes", "bytes"))
# Below this part of the rate asked for, the server was too slow for it, and latencies tell of the queue.
KEPT_UP = 0.97


def short(value):
    return "-" if value is None else f"{value:,.0f}"


def measured(rows, peers, results, load):
    """(row, peer, result) of what has figures."""
    for row in rows:
        for peer in peers:
            result = results[row.name].get(peer) if is_native(row) else None
            if result and result.loads[load]:
                yield row, peer, result


def cells(result, load):
    """The rate, and the latencies in us."""
    return [short(bench_native.figure(result, load, name)) for name, _ in COLUMNS]


def remark(result, load):
    if load == "closed":
        return ""
    asked, kept_up, late = (bench_native.figure(result, load, name) for name in ("asked", "kept up", "late"))
    too_slow = "" if kept_up >= KEPT_UP else f"too slow for {short(asked)}; "
    return f"{too_slow}sent late p99 {short(late)}"


def print_loads(rows, peers, results):
    for load, title in LOADS.items():
        found = list(measured(rows, peers, results, load))
        if not found:
            continue
        print(f"\nIn two processes, us. {title}")
        width = max(len(row.name) + len(peer) for row, peer, _ in found) + 4
        print(" " * width + "".join(f"{head:>10}" for _, head in COLUMNS))
        for row, peer, result in found:
            print(f"{f'{row.name}, {peer}':{width}}" + "".join(f"{cell:>10}" for cell in cells(result, load))
                  + f"  {remark(result, load)}".rstrip())


def grown(rows, peers, results):
    """(row, peer, cells) of the connections beside which others are active."""
    for row in rows:
        for peer in peers:
            result = results[row.name].get(peer)
            if result and result.grown:
                yield row, peer, [_grown_figure(result.grown.get(name)) for name, _ in GROWN]


def _grown_figure(value):
    if isinstance(value, list):
        value = statistics.median(value)
    return "-" if value is None else f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:.2f}"


def print_grown(rows, peers, results):
    found = list(grown(rows, peers, results))
    if found:
        print(f"\n{GROWN_TITLE}")
        width = max(len(row.name) + len(peer) for row, peer, _ in found) + 4
        print(" " * width + "".join(f"{head:>14}" for _, head in GROWN))
        for row, peer, cells_of in found:
            print(f"{f'{row.name}, {peer}':{width}}" + "".join(f"{cell:>14}" for cell in cells_of))


def grown_section(rows, peers, results):
    head = "".join(f"<th>{name}</th>" for _, name in GROWN)
    body = "".join(f"<tr><td>{html.escape(row.title)}</td><td>{peer}</td>" + "".join(f"<td>{cell}</td>" for cell in cells_of) + "</tr>"
                   for row, peer, cells_of in grown(rows, peers, results))
    return f"<h2>{html.escape(GROWN_TITLE)}</h2><table><tr><th></th><th></th>{head}</tr>{body}</table>" if body else ""


def section(rows, peers, results):
    """For the HTML report; nothing if there is nothing."""
    parts = []
    for load, title in LOADS.items():
        body = "".join(
            f"<tr><td>{html.escape(row.title)}</td><td>{peer}</td>"
            + "".join(f"<td>{cell}</td>" for cell in cells(result, load))
            + f"<td><small>{html.escape(remark(result, load))}</small></td></tr>"
            for row, peer, result in measured(rows, peers, results, load))
        if body:
            head = "".join(f"<th>{name}</th>" for _, name in COLUMNS)
            parts.append(f"<h3>{html.escape(title)}</h3><table><tr><th></th><th></th>{head}<th></th></tr>{body}</table>")
    if not parts:
        return ""
    return ("<h2>Ends in two processes: the server alone under Wine, latencies in us</h2>"
            "<p>Medians of the passes. p99.9 only of a thousand answers and more. The rate of the open load is the same "
            "for all peers of a row, half of what the slowest did closed.</p>" + "".join(parts))

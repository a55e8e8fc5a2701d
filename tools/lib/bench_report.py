"""Tables and verdicts of tools/bench for the terminal."""
from bench_rows import OURS


def short(value):
    """Three digits, whatever the size."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times_line(row, results):
    return f"{row.name}, us: " + ", ".join(
        f"{peer} {short(result.time())}" for peer, result in results[row.name].items())


def calls_line(row, results):
    return f"{row.name}: " + ", ".join(
        f"{peer} {short(result.calls)}" for peer, result in results[row.name].items())


def table(title, rows, peers, cell):
    width = max(len(row.name) for row in rows) + 2
    print(f"\n{title}")
    print(" " * width + "".join(f"{peer:>12}" for peer in peers))
    for row in rows:
        print(f"{row.name:{width}}" + "".join(f"{cell(row, peer):>12}" for peer in peers))


def ratio(results, row, peer, value):
    """Ours to the peer's: less than 1 is better."""
    ours, other = (value(results[row.name][name]) if name in results[row.name] else None
                   for name in (OURS, peer))
    return ours / other if ours is not None and other else None


def print_report(rows, peers, results):
    def cell(value):
        return lambda row, peer: (short(value(results[row.name][peer]))
                                  if peer in results[row.name] else "-")
    table("Time, us a unit (median)", rows, peers, cell(lambda result: result.time()))
    table("Calls a unit", rows, peers, cell(lambda result: result.calls))
    for name, value in (("Time", lambda result: result.time()), ("Calls", lambda result: result.calls)):
        table(f"{name}: ours to theirs, below 1 is better", rows, [p for p in peers if p != OURS],
              lambda row, peer, value=value: short(ratio(results, row, peer, value)))

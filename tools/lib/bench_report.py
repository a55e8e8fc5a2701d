"""Tables and verdicts of tools/bench for the terminal."""
from bench_rows import FLOOR, OURS

# The targets, as ratios of ours in one run.
CALLS_OF_FLOOR = 1.05
CALLS_OF_FLOOR_IN = {"churn": 1.08}
# Counts vary a little with the moment at which something comes: so much more is not more.
AS_MANY = 1.01
TIME_OF_FLOOR = 1.15
IDLE_COST = 1.15
IDLE_BYTES = 1400
# With so few calls a unit there is nothing to compare.
NO_CALLS = 0.05


def short(value):
    """Three digits, whatever the size."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time(result):
    return result.time()


def calls(result):
    return result.calls


def packets(result):
    return result.packets


def requests(result):
    return result.requests


def memory(result):
    return result.bytes


# Events of the waiting rows, as the benchmark names them.
EVENTS = ("connection", "timer", "wakeup", "signal")


def waited(result, event):
    """Median and most callbacks of busy connections."""
    found = result.waits.get(event) if result else None
    return f"{found[0]:.0f} / {found[1]:.0f}" if found else "-"


def print_waits(rows, peers, results):
    print("\nWhat a quiet event waits for: callbacks of busy connections, median / most")
    print(" " * 24 + "".join(f"{peer:>12}" for peer in peers))
    for row in rows:
        for event in EVENTS:
            print(f"{row.name + ', ' + event:24}"
                  + "".join(f"{waited(results[row.name].get(peer), event):>12}" for peer in peers))


def time_or_bytes(result):
    return result.bytes if result.bytes is not None else result.time()


def line(row, results, value):
    if row.work == "waiting":
        return f"{row.name} (callbacks, a connection): " + ", ".join(
            f"{peer} {waited(result, EVENTS[0])}" for peer, result in results[row.name].items())
    unit = " (bytes)" if row.work == "memory" else ""
    return f"{row.name}{unit}: " + ", ".join(
        f"{peer} {short(value(result))}" for peer, result in results[row.name].items())


def spread(result):
    """From the least to the most, as parts of the median."""
    if not result.times:
        return "-"
    middle = result.time()
    return f"-{100 * (1 - min(result.times) / middle):.0f}/+{100 * (max(result.times) / middle - 1):.0f}%"


def table(title, rows, peers, cell):
    if not rows:
        return
    width = max(len(row.name) for row in rows) + 2
    print(f"\n{title}")
    print(" " * width + "".join(f"{peer:>12}" for peer in peers))
    for row in rows:
        print(f"{row.name:{width}}" + "".join(f"{cell(row, peer):>12}" for peer in peers))


def figure(results, row, peer, value):
    result = results[row.name].get(peer)
    return value(result) if result else None


def ratio(results, row, peer, value):
    """Ours to the peer's: less than 1 is better."""
    ours, other = figure(results, row, OURS, value), figure(results, row, peer, value)
    return ours / other if ours is not None and other else None


def at_most(results, row, peer, value, limit, text):
    """One verdict: (met, text), or None where there is nothing to compare."""
    found = ratio(results, row, peer, value)
    return (found <= limit, f"{text}: {found:.2f}") if found is not None else None


def waiting_verdicts(row, results):
    ours, select = (results[row.name].get(peer) for peer in (OURS, "select"))
    if not ours or not select:
        return []
    return [(ours.waits[event][1] <= select.waits[event][1],
             f"a {event} waits for at most as many callbacks as on select: "
             f"{ours.waits[event][1]:.0f} to {select.waits[event][1]:.0f}")
            for event in EVENTS if event in ours.waits and event in select.waits]


def row_verdicts(row, results):
    """What the row was to reach: (met, text) each."""
    peers = results[row.name]
    others = [peer for peer in peers if peer not in (OURS, FLOOR)]
    found = []
    if row.work == "memory":
        size = figure(results, row, OURS, memory)
        if size is not None:
            found.append((size <= IDLE_BYTES, f"at most {IDLE_BYTES} bytes: {size:.0f}"))
        return found
    if row.work == "waiting":
        return waiting_verdicts(row, results)
    if (figure(results, row, OURS, calls) or 0) > NO_CALLS:
        limit = CALLS_OF_FLOOR_IN.get(row.name, CALLS_OF_FLOOR)
        found.append(at_most(results, row, FLOOR, calls, limit, f"NT calls at most {limit} of the floor's"))
        found += [at_most(results, row, peer, calls, AS_MANY, f"no more NT calls than {peer}") for peer in others]
    found.append(at_most(results, row, FLOOR, time, TIME_OF_FLOOR, f"time at most {TIME_OF_FLOOR} of the floor's"))
    found += [at_most(results, row, peer, time, 1, f"less time than {peer}") for peer in others]
    return [verdict for verdict in found if verdict]


def floor_loses(row, results):
    """Peers that beat the floor itself, in time or calls."""
    if FLOOR not in results[row.name] or row.work in ("memory", "waiting"):
        return []
    lost = []
    for what, value in (("NT calls", calls), ("time", time)):
        floor = figure(results, row, FLOOR, value)
        for peer in results[row.name]:
            other = figure(results, row, peer, value)
            if peer not in (OURS, FLOOR) and other and floor and other * AS_MANY < floor:
                lost.append(f"{peer} needs less {what} than the floor ({other / floor:.2f})")
    return lost


def idle_verdicts(rows, results):
    """What idle connections may cost those that are active."""
    named = {row.name: row for row in rows}
    found = []
    for few, many, what, value in (
            ("pingpong-10-of-100", "pingpong-10-of-4000", "time", time),
            ("pingpong-10-of-100", "pingpong-10-of-4000", "NT calls", calls),
            ("plain-10-of-100", "plain-10-of-4000", "NT calls", calls)):
        both = [figure(results, named[name], OURS, value) for name in (many, few) if name in named]
        if len(both) == 2 and all(both):
            cost = both[0] / both[1]
            found.append((cost <= IDLE_COST, f"{many}: {what} at most {IDLE_COST} of {few}: {cost:.2f}"))
    return found


def print_verdicts(rows, results):
    print("\nTargets")
    met = total = 0
    for row in rows:
        verdicts = row_verdicts(row, results)
        missed = [text for good, text in verdicts if not good]
        met, total = met + len(verdicts) - len(missed), total + len(verdicts)
        print(f"  {row.name:20} {len(verdicts) - len(missed)} of {len(verdicts)} met"
              + "".join(f"\n{'':25}not met: {text}" for text in missed)
              + "".join(f"\n{'':25}note: {text}" for text in floor_loses(row, results)))
    for good, text in idle_verdicts(rows, results):
        met, total = met + good, total + 1
        print(f"  {'met' if good else 'NOT MET'}: {text}")
    print(f"  {met} of {total} met")


def print_report(rows, peers, results):
    def cell(value):
        return lambda row, peer: short(figure(results, row, peer, value))

    def spread_cell(row, peer):
        return spread(results[row.name][peer]) if peer in results[row.name] else "-"

    worked = [row for row in rows if row.work not in ("memory", "waiting")]
    waiting = [row for row in rows if row.work == "waiting"]
    stored = [row for row in rows if row.work == "memory" and any(
        result.bytes is not None for result in results[row.name].values())]
    others = [peer for peer in peers if peer != OURS]
    table("NT calls a unit", worked, peers, cell(calls))
    table("Packets taken from completion ports, a unit", worked, peers, cell(packets))
    table("Requests to Wine's server, a unit", worked, peers, cell(requests))
    if any(result.times for row in worked for result in results[row.name].values()):
        table("Time, us a unit (median)", worked, peers, cell(time))
        table("Spread of the times", worked, peers, spread_cell)
    table("Memory, bytes", stored, peers, cell(memory))
    if waiting:
        print_waits(waiting, peers, results)
    for name, value in (("NT calls", calls), ("Requests", requests), ("Time", time)):
        if any(figure(results, row, OURS, value) for row in worked):
            table(f"{name}: ours to theirs, below 1 is better", worked, others,
                  lambda row, peer, value=value: short(ratio(results, row, peer, value)))
    for row in rows:
        for peer, why in row.left_out.items():
            if peer in peers:
                print(f"{row.name}: {peer} left out: {why}")
    if OURS in peers:
        print_verdicts(rows, results)

"""Tables and verdicts of tools/bench for the terminal."""
import statistics

import bench_native_report
import bench_setting
from bench_rows import FLOOR, OURS

# The targets, as ratios of ours in one run.
CALLS_OF_FLOOR = 1.05
CALLS_OF_FLOOR_IN = {"churn": 1.08, "connects": 1.08}
# Counts vary a little with the moment at which something comes: so much more is not more.
AS_MANY = 1.01
TIME_OF_FLOOR = 1.15
IDLE_COST = 1.15
IDLE_BYTES = 1400
# With so few calls a unit there is nothing to compare.
NO_CALLS = 0.05


def short(value):
    """Three digits, or all of a large number, or two behind the point."""
    if value is None:
        return "-"
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def time(result):
    return result.time()


def calls(result):
    return result.calls


def packets(result):
    return result.packets


def requests(result):
    return result.requests


def instructions(result):
    return result.instructions


def project_instructions(result):
    return result.project_instructions


def dll_instructions(result):
    return result.dll_instructions


def memory(result):
    return result.bytes


# Events of the waiting rows, as the benchmark names them.
EVENTS = ("connection", "timer", "wakeup", "signal")


def waited(result, event):
    """Callbacks of busy connections: the median, the 99th percentile and the most."""
    found = result.waits.get(event) if result else None
    return " / ".join(f"{value:.0f}" for value in found) if found else "-"


def wait_time(result, event):
    """Microseconds, likewise: medians of the passes."""
    found = result.wait_times.get(event) if result else None
    return tuple(map(statistics.median, zip(*found))) if found else None


def waited_us(result, event):
    found = wait_time(result, event)
    return " / ".join(f"{value:,.0f}" for value in found) if found else "-"


WAITS = ((waited, "callbacks of busy connections"), (waited_us, "us"))


def waits_known(rows, peers, results, cell):
    return any(cell(results[row.name].get(peer), event) != "-" for row in rows for peer in peers for event in EVENTS)


def print_waits(rows, peers, results):
    for cell, unit in WAITS:
        if not waits_known(rows, peers, results, cell):
            continue
        print(f"\nWhat a quiet event waits for: {unit}, p50 / p99 / most")
        print(" " * 24 + "".join(f"{peer:>30}" for peer in peers))
        for row in rows:
            for event in EVENTS:
                print(f"{row.name + ', ' + event:24}"
                      + "".join(f"{cell(results[row.name].get(peer), event):>30}" for peer in peers))


def time_or_bytes(result):
    return result.bytes if result.bytes is not None else result.time()


def line(row, results, value):
    if row.work == "waiting":
        cell, unit = (waited, "callbacks") if value is calls else (waited_us, "us")
        return f"{row.name} ({unit}, a connection): " + ", ".join(
            f"{peer} {cell(result, EVENTS[0])}" for peer, result in results[row.name].items())
    unit = " (bytes)" if row.work == "memory" else ""
    return f"{row.name}{unit}: " + ", ".join(
        f"{peer} {short(value(result))}" for peer, result in results[row.name].items())


def spread(result):
    """From the least to the most, as parts of the median."""
    if not result.times:
        return "-"
    middle = result.time()
    return f"-{100 * (1 - min(result.times) / middle):.0f}/+{100 * (max(result.times) / middle - 1):.0f}%"


def table(title, rows, peers, cell, column=12):
    if not rows:
        return
    width = max(len(row.name) for row in rows) + 2
    print(f"\n{title}")
    print(" " * width + "".join(f"{peer:>{column}}" for peer in peers))
    for row in rows:
        print(f"{row.name:{width}}" + "".join(f"{cell(row, peer):>{column}}" for peer in peers))


def figure(results, row, peer, value):
    result = results[row.name].get(peer)
    return value(result) if result else None


def ratio(results, row, peer, value):
    """Ours to the peer's: less than 1 is better."""
    ours, other = figure(results, row, OURS, value), figure(results, row, peer, value)
    return ours / other if ours is not None and other else None


def time_ratio(results, row, peer):
    """Ours to the peer's, and the least and most of the passes, in which the two were measured one soon after the other."""
    found = ratio(results, row, peer, time)
    if found is None:
        return "-"
    ours, others = (results[row.name][name].pass_times() for name in (OURS, peer))
    if len(ours) != len(others) or len(ours) < 2:
        return short(found)  # a run that failed has no partner
    pairs = [mine / other for mine, other in zip(ours, others)]
    return f"{short(found)} ({min(pairs):.2f}-{max(pairs):.2f})"


def at_most(results, row, peer, value, limit, text):
    """One verdict: (met, text), or None where there is nothing to compare. What failed has met nothing."""
    both = [results[row.name].get(name) for name in (OURS, peer)]
    if any(result and result.failure for result in both):
        return False, f"{text}: one of them failed"
    found = ratio(results, row, peer, value)
    return (found <= limit, f"{text}: {found:.3f}") if found is not None else None


def failures(rows, results):
    """(row, peer, why) of what failed. What was measured of it before that is there all the same."""
    return [(row, peer, result.failure) for row in rows for peer, result in results[row.name].items() if result.failure]


def waiting_verdicts(row, results):
    """The most callbacks, and the 99th percentile of the time."""
    ours, found = results[row.name].get(OURS), []
    for name in ("select", "libuv"):
        peer = results[row.name].get(name)
        for event in EVENTS if ours and peer else ():
            if event in peer.waits:
                found.append((event in ours.waits and ours.waits[event][-1] <= peer.waits[event][-1],
                              f"a {event} waits for at most as many callbacks as on {name}: "
                              f"{waited(ours, event)} to {waited(peer, event)}"))
            if wait_time(peer, event):
                mine = wait_time(ours, event)
                found.append((mine is not None and mine[1] <= wait_time(peer, event)[1],
                              f"a {event} waits no longer than on {name}, p99: "
                              f"{waited_us(ours, event)} us to {waited_us(peer, event)}"))
    return found


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
            ("plain-10-of-100", "plain-10-of-4000", "NT calls", calls),
            ("native-echo-10-of-100", "native-echo-10-of-20000", "time", time),
            ("native-echo-10-of-100", "native-echo-10-of-20000", "NT calls", calls)):
        both = [figure(results, named[name], OURS, value) for name in (many, few) if name in named]
        if len(both) == 2 and all(both):
            cost = both[0] / both[1]
            found.append((cost <= IDLE_COST, f"{many}: {what} at most {IDLE_COST} of {few}: {cost:.2f}"))
    return found


def all_verdicts(rows, results, more=()):
    """(what it is about, met, text) each, those that are missed first."""
    found = [(row.name, good, text) for row in rows for good, text in row_verdicts(row, results)]
    found += [("idle connections", good, text) for good, text in idle_verdicts(rows, results)]
    found += [("several bases", good, text) for good, text in more]
    return sorted(found, key=lambda verdict: verdict[1])


def headline(rows, results, more=()):
    """The first row's figures and how many targets are met, in one sentence."""
    verdicts = all_verdicts(rows, results, more)
    met = sum(good for _, good, _ in verdicts)
    first = next((row for row in rows if figure(results, row, OURS, calls)), None)
    if first is None:
        return f"{met} of {len(verdicts)} targets are met."
    others = ", ".join(f"{peer} {short(figure(results, first, peer, calls))}"
                       for peer in results[first.name] if peer != OURS)
    return (f"{short(figure(results, first, OURS, calls))} NT calls for a {first.unit} ({first.title}; {others}); "
            f"{met} of {len(verdicts)} targets are met.")


def print_verdicts(rows, results):
    verdicts = all_verdicts(rows, results)
    print("\nTargets")
    for name, good, text in verdicts:
        if not good:
            print(f"  NOT MET {name:20} {text}")
    for row in rows:
        for text in floor_loses(row, results):
            print(f"  note    {row.name:20} {text}")
    print(f"  {sum(good for _, good, _ in verdicts)} of {len(verdicts)} met")


def print_report(rows, peers, results, known):
    def cell(value):
        return lambda row, peer: short(figure(results, row, peer, value))

    def spread_cell(row, peer):
        return spread(results[row.name][peer]) if peer in results[row.name] else "-"

    worked = [row for row in rows if row.work not in ("memory", "waiting")]
    waiting = [row for row in rows if row.work == "waiting"]
    stored = [row for row in rows if row.work == "memory" and any(
        result.bytes is not None for result in results[row.name].values())]
    others = [peer for peer in peers if peer != OURS]
    if OURS in peers:
        print(f"\n{headline(rows, results)}")
    print(bench_setting.as_text(known))
    for row, peer, why in failures(rows, results):
        print(f"  FAILED  {row.name:20} {peer}: {why}")
    if OURS in peers:
        print_verdicts(rows, results)
    table("NT calls a unit", worked, peers, cell(calls))
    table("Packets taken from completion ports, a unit", worked, peers, cell(packets))
    table("Requests to Wine's server, a unit", worked, peers, cell(requests))
    stepped = [row for row in worked if any(result.instructions for result in results[row.name].values())]
    table("Instructions a unit: the program's, with the libraries in it", stepped, peers, cell(instructions))
    if OURS in peers:
        table("Those of them that are this project's, and neither libevent's nor the benchmark's", stepped, [OURS], cell(project_instructions))
    table("Instructions a unit: Windows's DLLs", stepped, peers, cell(dll_instructions))
    if any(result.times for row in worked for result in results[row.name].values()):
        table("Time, us a unit (median)", worked, peers, cell(time))
        table("Spread of the times", worked, peers, spread_cell)
    table("Memory, bytes", stored, peers, cell(memory))
    if waiting:
        print_waits(waiting, peers, results)
    bench_native_report.print_loads(rows, peers, results)
    bench_native_report.print_grown(rows, peers, results)
    for name, value in (("NT calls", calls), ("Requests", requests)):
        if any(figure(results, row, OURS, value) for row in worked):
            table(f"{name}: ours to theirs, below 1 is better", worked, others,
                  lambda row, peer, value=value: short(ratio(results, row, peer, value)))
    if any(figure(results, row, OURS, time) for row in worked):
        table("Time: ours to theirs, below 1 is better, and from the least to the most of the passes", worked, others,
              lambda row, peer: time_ratio(results, row, peer), column=20)
    for row in rows:
        for peer, why in row.left_out.items():
            if peer in peers:
                print(f"{row.name}: {peer} left out: {why}")

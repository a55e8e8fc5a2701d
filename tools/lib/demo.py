"""The part of tools/demo that runs the servers and their clients."""
import pathlib
import re
import statistics
import time

import bench_http
import bench_run
import calls
import traffic
from bench_rows import http

KINDS = ("select", "iocp")
ROWS = [http("http", 100, idle=4000), http("https", 100), http("http", 100)]
# Pairs of runs, one on each build: at least so many, and on until the middle half of their ratios lies
# within so much of the median, or the time of a row is over.
LEAST_PAIRS, MOST_PAIRS, SPREAD, ROW_SECONDS = 3, 9, 0.1, 35
# A run begins with its connections, over TLS with a hundred handshakes: it is to be more than these.
RUN_SECONDS = {"http": 1, "https": 3}
# Above it, others use so much of the machine that rates would say nothing.
BUSY = 0.2
# Looks, a second each, of which one is to find less: what we have just ended may not be quite gone.
BUSY_LOOKS = 3


def progress(text):
    print(f"demo: {text}", flush=True)


def processor_times(core):
    """All its time, and that in which it had nothing to do."""
    fields = list(map(int, re.search(rf"^cpu{core} (.+)$", pathlib.Path("/proc/stat").read_text(), re.MULTILINE).group(1).split()[:8]))
    return sum(fields), fields[3] + fields[4]


def busy_part(seconds=1):
    """How much of the busier of our two cores, the server's and its clients', is in use while we do nothing."""
    cores = {traffic.CORES[traffic.SERVER_LANE % len(traffic.CORES)], traffic.CLIENT_CORE}
    before = {core: processor_times(core) for core in cores}
    time.sleep(seconds)
    after = {core: processor_times(core) for core in cores}
    return max(1 - (after[core][1] - before[core][1]) / max(after[core][0] - before[core][0], 1) for core in cores)


def lasting_busy_part():
    least = 1
    for _ in range(BUSY_LOOKS):
        least = min(least, busy_part())
        if least <= BUSY:
            break
    return least


def one_rate(kind, row, body):
    """Requests a second; every byte of every answer is compared."""
    with bench_http.HttpServer(kind, row) as server, server.beside_idle():
        wanted = {"select": "win32", "iocp": "iocp"}[kind]
        traffic.require(server.method_name == wanted, f"{kind}: the server says that it runs on {server.method_name}")
        server.check_answer()
        return traffic.wrk_until(server, server.url + "/", row.connections, RUN_SECONDS[row.work],
                                 row.connections, body=body)[1]


class Rates:
    """Pairs of rates, taken in turns so that what else the machine does falls on both."""

    def __init__(self):
        self.pairs = []

    def measure(self, row, body):
        deadline = time.monotonic() + ROW_SECONDS
        while len(self.pairs) < LEAST_PAIRS or (len(self.pairs) < MOST_PAIRS and self.spread() > SPREAD
                                                and time.monotonic() < deadline):
            first = len(self.pairs) % 2
            found = {kind: one_rate(kind, row, body) for kind in (KINDS[first], KINDS[1 - first])}
            self.pairs.append(tuple(found[kind] for kind in KINDS))

    def ratios(self):
        return sorted(ours / theirs for theirs, ours in self.pairs)

    def median(self):
        return statistics.median(self.ratios())

    def spread(self):
        quarters = statistics.quantiles(self.ratios(), n=4, method="inclusive")
        return (quarters[2] - quarters[0]) / self.median()

    def text(self):
        ratios = self.ratios()
        return f"{self.median():.1f} times ({ratios[0]:.1f} to {ratios[-1]:.1f} in {len(ratios)} pairs)"


def count_calls(body):
    counts = {}
    with calls.CallCounter() as counter:
        for row in ROWS:
            for kind in KINDS:
                result = bench_run.Result()
                bench_http.count_row(counter, row, kind, result, body)
                counts[row.name, kind] = result.calls
            progress(f"NT calls a request, {row.title}: "
                     + ", ".join(f"{kind} {counts[row.name, kind]:.1f}" for kind in KINDS))
    return counts


def measure_rates(body):
    """By row, and how busy a core was by others: none at all if it was."""
    rates, busy = {}, 0
    for row in ROWS:
        busy = lasting_busy_part()
        if busy > BUSY:
            progress(f"others use {busy:.0%} of a core: times would be worthless, so none are taken")
            return {}, busy
        rates[row.name] = Rates()
        rates[row.name].measure(row, body)
        progress(f"{row.title}: {rates[row.name].text()} as many requests a second on the port")
    return rates, busy


def print_table(counts, rates):
    width = max(len(title(row)) for row in ROWS) + 2
    print(f"\n{'':{width}}{'NT calls a request':>22}" + (f"{'requests a second':>22}" if rates else ""))
    print(f"{'':{width}}" + f"{'select':>11}{'iocp':>11}" * (2 if rates else 1)
          + ("   iocp to select" if rates else ""))
    for row in ROWS:
        line = f"{title(row):{width}}" + "".join(f"{counts[row.name, kind]:11.1f}" for kind in KINDS)
        if rates:
            both = [statistics.median(rate) for rate in zip(*rates[row.name].pairs)]
            line += f"{both[0]:11,.0f}{both[1]:11,.0f}   {rates[row.name].text()}"
        print(line)
    print("\nselect: libevent alone; iocp: the same program linked with this project. Every byte was right. NT "
          "calls\nare what the server asks of ntdll, and Windows would execute likewise; rates are those of Wine.")


def title(row):
    beside = f", {row.idle:,} idle beside" if row.idle else ""
    return f"{row.work.upper()}, {row.connections} connections{beside}"


def last_sentence(counts, rates, busy):
    most, tls = ROWS[0], ROWS[1]
    asked = (f"a request over TLS takes {counts[tls.name, 'iocp']:.1f} NT calls instead of "
             f"{counts[tls.name, 'select']:.1f}")
    if rates:
        return (f"Beside {most.idle:,} idle connections this server answers {rates[most.name].median():.1f} times as "
                f"many requests on the port as on select, over TLS {rates[tls.name].median():.1f} times as many, "
                f"and {asked}.")
    return (f"On the port {asked}, and one beside {most.idle:,} idle connections {counts[most.name, 'iocp']:.1f} "
            f"instead of {counts[most.name, 'select']:.1f} (no rates: {busy:.0%} of a core was in use by others).")


def demo():
    started = time.monotonic()
    with traffic.scratch() as folder:
        body = folder / "answer"
        body.write_text("a" * 1000)
        progress("starting Wine (seconds, the first time)")
        counts = count_calls(body)
        rates, busy = measure_rates(body)
        print_table(counts, rates)
    progress(f"done in {time.monotonic() - started:.0f} s")
    print(f"\n{last_sentence(counts, rates, busy)}")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("demo", demo)

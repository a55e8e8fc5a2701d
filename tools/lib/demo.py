"""The part of tools/demo that runs the servers and their clients."""
import pathlib
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
RUN_SECONDS = 1
# Above it, others use so much of the machine that rates would say nothing.
BUSY = 0.2


def progress(text):
    print(f"demo: {text}", flush=True)


def processor_times():
    """Of all cores: all time, and that in which they had nothing to do."""
    fields = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    return sum(fields), fields[3] + fields[4]


def busy_part(seconds=1):
    """How much of the machine is in use while we do nothing."""
    all_before, idle_before = processor_times()
    time.sleep(seconds)
    total, idle = processor_times()
    return 1 - (idle - idle_before) / max(total - all_before, 1)


def one_rate(kind, row, body):
    """Requests a second; every byte of every answer is compared."""
    with bench_http.HttpServer(kind, row) as server, server.beside_idle():
        wanted = {"select": "win32", "iocp": "iocp"}[kind]
        traffic.require(server.method_name == wanted, f"{kind}: the server says that it runs on {server.method_name}")
        server.check_answer()
        return traffic.wrk_until(server, server.url + "/", row.connections, RUN_SECONDS, row.connections,
                                 body=body)[1]


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
            f"instead of {counts[most.name, 'select']:.1f} (no rates: {busy:.0%} of this machine was in use by others).")


def demo():
    started = time.monotonic()
    with traffic.scratch() as folder:
        body = folder / "answer"
        body.write_text("a" * 1000)
        busy = busy_part()
        progress("starting Wine (seconds, the first time)")
        counts = count_calls(body)
        rates = {}
        if busy > BUSY:
            progress(f"others use {busy:.0%} of this machine: times would be worthless, so none are taken")
        else:
            for row in ROWS:
                rates[row.name] = Rates()
                rates[row.name].measure(row, body)
                progress(f"{row.title}: {rates[row.name].text()} as many requests a second on the port")
        print_table(counts, rates)
    progress(f"done in {time.monotonic() - started:.0f} s")
    print(f"\n{last_sentence(counts, rates, busy)}")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("demo", demo)

"""The part of tools/demo that runs the servers and their clients."""
import contextlib
import os
import signal
import subprocess
import time

import calls
import traffic
import web

LARGE = 64 << 20
SMALL = 1000
# By protocol: connections, and how long wrk runs for the rate.
RUNS = {"http": [(10, 1), (100, 2), (1000, 3)], "https": [(100, 2)]}
# Requests whose calls are counted, at the least.
COUNTED = 500
LINE = b"Got a GET request for "  # what the server prints at each


class Served:
    """The files that are served, and the certificate."""

    def __init__(self, folder):
        self.folder = folder
        self.large, self.small = folder / "large", folder / "small"
        self.sha256 = traffic.random_file(self.large, LARGE)
        traffic.random_file(self.small, SMALL)
        self.certificate = web.make_certificate(folder)
        self.hello = folder / "hello"
        self.hello.write_text("Hello\n")


def progress(text):
    print(f"demo: {text}", flush=True)


@contextlib.contextmanager
def serving(kind, protocol, served, counter=None):
    """A server, curl's arguments for the large file, wrk's URL and the file that wrk should get."""
    if protocol == "https":
        with web.Site(kind, served.certificate, served.large, ["--log"], counter=counter) as site:
            yield (site.server, [*site.curl_options, f"{site.url}/file"], f"{site.url}/",
                   served.hello)
        return
    server, port = traffic.http_server(kind, served.folder, counter=counter)
    with server:
        method = server.method()
        traffic.require(method == web.METHODS[kind], f"{server.name} says that it runs on {method}")
        url = f"http://127.0.0.1:{port}"
        yield server, [f"{url}/large"], f"{url}/small", served.small


def check_bytes(server, arguments, wanted):
    got, size, seconds = traffic.curl_sha256(arguments, 120)
    traffic.require(got == wanted, f"{server.name}: curl received {size} bytes, wrong checksum")
    return f"{size >> 20} MiB, checksum equal, {seconds:.1f} s"


def measure_rates(kind, served):
    """Requests a second by protocol and number of connections, at the speed that the server has
    undisturbed."""
    rates = {}
    for protocol, runs in RUNS.items():
        with serving(kind, protocol, served) as (server, large, url, body):
            progress(f"{kind}: curl, {protocol}: {check_bytes(server, large, served.sha256)}")
            for connections, seconds in runs:
                answers, rate = traffic.wrk_until(server, url, connections, seconds, connections,
                                                  body=body)
                rates[protocol, connections] = rate
                progress(f"{kind}: wrk, {protocol}, {connections} connections: {answers} answers "
                         f"of {body.stat().st_size} bytes, every byte right")
            check_bytes(server, large, served.sha256)
    return rates


def wait_for_requests(log, count):
    """Reads on in the server's output until it tells of that many requests; returns how many."""
    seen, deadline = 0, time.monotonic() + 60
    while seen < count:
        traffic.require(time.monotonic() < deadline, f"only {seen} requests in a minute")
        time.sleep(0.02)
        seen += log.read().count(LINE)
    return seen


def count_one(server, url, connections):
    """Calls for a request while wrk runs, once every connection is there."""
    with open(server.output_file.name, "rb") as log:
        log.seek(0, 2)
        command = traffic.client(traffic.wrk_command(url, connections, 120))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            try:
                wait_for_requests(log, connections + 100)
                since = os.path.getsize(server.trace_file.name)
                requests = wait_for_requests(log, max(connections, COUNTED))
                until = os.path.getsize(server.trace_file.name)
            finally:
                wrk.send_signal(signal.SIGINT)
            result = traffic.WrkResult(wrk.communicate()[0])
    traffic.require(result.errors() == 0, f"{server.name}, {connections} connections: "
                                          f"errors: {result.describe_errors()}")
    counted = calls.count(server.trace(since, until), "")
    return sum(counted.calls.values()) / requests


def count_calls(counter, kind, served):
    counts = {}
    for protocol, runs in RUNS.items():
        with serving(kind, protocol, served, counter) as (server, _, url, _):
            for connections, _ in runs:
                counts[protocol, connections] = count_one(server, url, connections)
    progress(f"{kind}: NT calls counted")
    return counts


def print_table(rates, counts):
    print(f"\n{'method':8}{'protocol':>9}{'connections':>12}{'requests/s':>12}"
          f"{'NT calls/request':>18}")
    for kind in web.METHODS:
        for protocol, connections in rates[kind]:
            print(f"{kind:8}{protocol:>9}{connections:12}"
                  f"{rates[kind][protocol, connections]:12.0f}"
                  f"{counts[kind][protocol, connections]:18.1f}")
    print("\nselect: libevent alone; iocp: libevent with this project and EVENT_IOCP=1. Every byte "
          "was right.\nhttp is libevent's sample server, https one of ours on evhttp. NT calls are "
          "what the\nserver asks of ntdll, and Windows would execute likewise; their number hardly "
          "depends on the\nmachine. The rates are those of Wine.")


def demo():
    started = time.monotonic()
    with traffic.scratch() as folder:
        served = Served(folder)
        progress("starting Wine (seconds, the first time)")
        rates = {kind: measure_rates(kind, served) for kind in web.METHODS}
        with calls.CallCounter() as counter:
            counts = {kind: count_calls(counter, kind, served) for kind in web.METHODS}
        print_table(rates, counts)
    progress(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("demo", demo)

"""The part of tools/demo that runs the servers and their clients."""
import signal
import subprocess
import time

import calls
import traffic

LARGE = 64 << 20
SMALL = 1000
# Connections, and how long wrk runs for the rate.
RUNS = [(10, 1), (100, 2), (1000, 3)]
# Requests whose calls are counted, at the least.
COUNTED = 500
LINE = b"Got a GET request for "  # what the server prints at each
METHODS = {"select": "win32", "iocp": "iocp"}


def progress(text):
    print(f"demo: {text}", flush=True)


def check_bytes(server, url, wanted):
    got, size, seconds = traffic.curl_sha256([f"{url}/large"], 120)
    traffic.require(got == wanted, f"{server.name}: curl received {size} bytes, wrong checksum")
    return f"{size >> 20} MiB, checksum equal, {seconds:.1f} s"


def measure_rates(kind, folder, wanted):
    """Requests a second by the number of connections, at the speed the server has undisturbed."""
    server, port = traffic.http_server(kind, folder)
    url, rates = f"http://127.0.0.1:{port}", {}
    with server:
        traffic.require(server.method() == METHODS[kind],
                        f"{server.name} says that it runs on {server.method()}")
        progress(f"{kind}: curl: {check_bytes(server, url, wanted)}")
        for connections, seconds in RUNS:
            served, rates[connections] = traffic.wrk_until(
                server, f"{url}/small", connections, seconds, connections, body=folder / "small")
            progress(f"{kind}: wrk, {connections} connections: {served} answers of {SMALL} bytes, "
                     "every byte right")
        check_bytes(server, url, wanted)
    return rates


def wait_for_requests(log, count):
    """Reads on in the server's output until it tells of that many requests; returns how many."""
    seen, deadline = 0, time.monotonic() + 60
    while seen < count:
        traffic.require(time.monotonic() < deadline, f"only {seen} requests in a minute")
        time.sleep(0.02)
        seen += log.read().count(LINE)
    return seen


def count_one(counter, server, url, connections):
    """Calls for a request while wrk runs, once every connection is there."""
    with open(server.output_file.name, "rb") as log:
        log.seek(0, 2)
        command = traffic.client(traffic.wrk_command(url, connections, 120))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            try:
                wait_for_requests(log, connections + 100)
                since = counter.mark()
                requests = wait_for_requests(log, max(connections, COUNTED))
                until = counter.mark()
            finally:
                wrk.send_signal(signal.SIGINT)
            result = traffic.WrkResult(wrk.communicate()[0])
    traffic.require(result.errors() == 0, f"{server.name}, {connections} connections: "
                                          f"errors: {result.describe_errors()}")
    return counter.count(since, until) / requests


def count_calls(counter, kind, folder):
    server, port = traffic.http_server(kind, folder, wine_dir=counter.folder)
    counts = {}
    with server:
        for connections, _ in RUNS:
            counts[connections] = count_one(counter, server, f"http://127.0.0.1:{port}/small",
                                            connections)
    progress(f"{kind}: NT calls counted")
    return counts


def print_table(rates, counts):
    print(f"\n{'method':8}{'connections':>12}{'requests/s':>12}{'NT calls/request':>18}")
    for kind in METHODS:
        for connections, _ in RUNS:
            print(f"{kind:8}{connections:12}{rates[kind][connections]:12.0f}"
                  f"{counts[kind][connections]:18.1f}")
    print("\nselect: libevent alone; iocp: libevent with this project and EVENT_IOCP=1. Every byte "
          "was right.\nNT calls are requests to Wine's server, which stands in for the NT kernel; "
          "their number hardly\ndepends on the machine. The rates are those of Wine.")


def demo():
    started = time.monotonic()
    with traffic.scratch() as folder:
        wanted = traffic.random_file(folder / "large", LARGE)
        traffic.random_file(folder / "small", SMALL)
        progress("starting Wine (seconds, the first time)")
        rates = {kind: measure_rates(kind, folder, wanted) for kind in METHODS}
        with calls.CallCounter() as counter:
            counts = {kind: count_calls(counter, kind, folder) for kind in METHODS}
        print_table(rates, counts)
    progress(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("demo", demo)

"""The rows of tools/bench in two processes: only the server is a Windows program, the client is a Linux one."""
import contextlib
import http.client
import os
import resource
import re
import socket
import statistics
import time

import bench_http
import bench_load
import calls
import processes
import traffic
from bench_rows import PEERS

# The open load: as many requests a second for each peer, half of what the slowest has just done closed. More of it and
# chance decides who queues; less and nobody does.
SHARE = 0.5
LEAST_OPEN = 5  # requests
END_LIMIT = 30
# Thousands of connections take their time on select.
IDLE_START_LIMIT = 200
# Open files of Wine's server, and of ours, that are no idle connections.
OTHER_FILES = 600
# How often requests are counted, but in a run for results alone: whether one's bytes are there already when the server
# looks is chance.
COUNTS = 3
# Of fewer answers, the slowest in a thousand is none.
ENOUGH_FOR_P999 = 1000


class EchoServer(traffic.Server):
    """A program of tools/benchmarks/serve. The connection that it takes its orders on is there all the time."""
    control = None

    def __init__(self, peer, _row, counter=None):
        folder, name = PEERS[peer][0].split("/", 1)
        path = traffic.BUILD / "bin" / folder / f"{name.replace('bench_', 'serve_', 1)}.exe"
        traffic.require(path.is_file(), f"{path} is not built")
        super().__init__("select", path, PEERS[peer][1], counter=counter)
        try:
            self.port = int(self.find(r"^echo on (\d+)$").group(1))
            self.method_name = self.find(r"^method (\S+)$").group(1)
            control = int(self.find(r"^control on (\d+)$").group(1))
            self.control = socket.create_connection(("127.0.0.1", control), 30)
        except BaseException:
            self.close()
            raise

    def order_mark(self):
        self.control.sendall(b"m")
        traffic.require(self.control.recv(1) == b"m", "no answer to a mark")

    def order_end(self):
        self.control.sendall(b"q")

    def close(self):
        if self.control:
            self.control.close()
        super().close()


class WebServer(bench_http.HttpServer):
    """The server of the rows under wrk, which gives the same orders."""

    def order_mark(self):
        self.order("/mark")

    def order_end(self):
        self.order("/quit")


@contextlib.contextmanager
def failing_as(name):
    """Says whose failure it is. A server that has ended, and so refuses, is one of its row and not of the whole run."""
    try:
        yield
    except traffic.Failure as failure:
        raise traffic.Failure(f"{name}: {failure}") from None
    except (OSError, http.client.HTTPException) as error:
        raise traffic.Failure(f"{name}: {error!r}") from None


class Measured:
    """A server of a peer in a row, with what is asked of it."""

    def __init__(self, row, peer, pace, counter=None):
        self.name, self.row, self.counter = f"{row.name} on {peer}", row, counter
        self.marks = 0  # that it was told to make
        self.counted_to = 0  # in its trace
        self.connections = min(row.connections, pace.native_connections)
        self.idle = idle_count(row, pace)
        with failing_as(self.name):
            kind = EchoServer if row.protocol() == "echo" else WebServer
            self.server = kind(peer, row, counter=counter)

    def load(self):
        return bench_load.Load(self.name, self.row.protocol(), self.server.port, self.connections, self.row.size)

    def idle_load(self):
        """Those beside which the others are active. Each has had an answer when it is there."""
        return bench_load.Load(self.name, self.row.protocol(), self.server.port, self.idle, self.row.size, IDLE_START_LIMIT)

    def mark(self):
        """Returns what the server has served so far: answers, or bytes of the echo."""
        number, self.marks = self.marks, self.marks + 1
        with failing_as(self.name):
            self.server.order_mark()
        found = re.findall(r"^served (\d+)$", self.server.output(), re.MULTILINE)
        traffic.require(len(found) == number + 1, f"{self.name}: {len(found)} marks, not {number + 1}")
        return int(found[number])

    def end(self):
        """By its own means, with all freed: what hangs or crashes there is a failure, too."""
        with failing_as(self.name):
            self.server.order_end()
            status = self.server.end(END_LIMIT)
        output = self.server.output()
        traffic.require(status == 0 and output.endswith("complete\n"), f"{self.name}: status {status}: {output[-300:]}")
        if self.counter:
            self.counter.is_settled = True

    def close(self):
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def idle_count(row, pace):
    """As many as the row wants, or as Wine's server may have files open: each socket of the program is one there."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = row.idle if limit == resource.RLIM_INFINITY else limit - OTHER_FILES
    return min(row.idle // pace.divisor, most)


def count_row(counter, row, peer, pace, result):
    """Calls a request: what closed loads of twice the length make more than ones of the single length, on connections
    that are there and have carried as much already."""
    pairs = 1 if pace.smoke else COUNTS
    traffic.allow_descriptors(idle_count(row, pace) + OTHER_FILES)
    with Measured(row, peer, pace, counter) as measured, contextlib.ExitStack() as kept:
        units = max(row.count_units // pace.divisor, measured.connections)
        if row.idle:
            count_idle(counter, measured, result, kept)
        since = counter.mark()
        with measured.load() as load:
            served = [measured.mark()]
            for length in (units, *pairs * (units, 2 * units)):
                found = load.closed_count(length)
                served.append(measured.mark())
                each = (served[-1] - served[-2]) / found["answers"]
                wanted = row.size if row.protocol() == "echo" else 1
                traffic.require(each == wanted and found["answers"] == length,
                                f"{measured.name}: {found['answers']:.0f} answers, and the server has given {served}")
            load.end()
        kept.close()
        measured.end()
        counts = calls.count_between_marks(measured.server.trace(measured.counted_to), counter.text(since, counter.mark()))
        result.method = measured.server.method_name
    traffic.require(len(counts) == 1 + 2 * pairs, f"{measured.name}: {len(counts)} counted phases")
    total = counts[2]
    for found in counts[4::2]:
        total.plus(found, 1)
    for found in counts[1::2]:
        total.plus(found, -1)
    result.set_counts(total, pairs * units)


def count_idle(counter, measured, result, kept):
    """Calls of each idle connection that comes: it is accepted, and has one answer."""
    since = counter.mark()
    measured.mark()
    load = kept.enter_context(measured.idle_load())
    kept.callback(load.end)
    measured.mark()
    measured.counted_to = os.path.getsize(measured.server.trace_file.name)
    trace = measured.server.trace(0, measured.counted_to)
    found, = calls.count_between_marks(trace, counter.text(since, counter.mark()))
    result.grown.update(connections=measured.idle, nt_calls=sum(found.calls.values()) / measured.idle,
                        requests=sum(found.requests.values()) / measured.idle)


def time_idle(row, peer, pace, result):
    """One peer after the other, since all of them together would have more files open than Wine's server may."""
    with Measured(row, peer, pace) as measured:
        pid = measured.server.windows_pid()
        empty, started = processes.private_bytes(pid), time.monotonic()
        with measured.idle_load() as idle:
            seconds = time.monotonic() - started
            size = processes.private_bytes(pid) - empty
            time_closed(measured, pace, result)
            idle.end()
        measured.end()
    result.grown["connections"] = measured.idle
    for name, value in (("times_us", 1e6 * seconds), ("bytes", size)):
        result.grown.setdefault(name, []).append(value / measured.idle)


def time_closed(measured, pace, result):
    with measured.load() as load:
        load.closed_ms(pace.native_ms // 4)  # the first turns are not like the others
        found = load.closed_ms(pace.native_ms)
        load.end()
    rate = found["answers"] / found["seconds"]
    result.method = measured.server.method_name
    result.times.append(1e6 / rate)
    result.loads["closed"].append({**found, "rate": rate})
    return rate


def time_open(measured, rate, pace, result):
    requests = max(int(rate * pace.native_ms / 1000), LEAST_OPEN)
    with measured.load() as load:
        load.closed_ms(pace.native_ms // 4)
        found = load.open(rate, requests)
        load.end()
    reached = found["answers"] / found["seconds"]
    result.loads["open"].append({**found, "rate": reached, "asked": rate, "kept up": reached / rate})


def time_row(row, results, pace, attempt):
    """All peers, in the order of `results`: first the closed load of each, then the open one of each, whose rate that
    decides. `attempt` tells of a failure, which leaves the others as they are."""
    if row.idle:
        for peer, result in results.items():
            attempt(result, time_idle, row, peer, pace, result)
        return
    with contextlib.ExitStack() as kept:
        rates, servers = {}, {}

        def start_closed(peer):
            servers[peer] = kept.enter_context(Measured(row, peer, pace))
            rates[peer] = time_closed(servers[peer], pace, results[peer])

        def finish_open(peer):
            time_open(servers[peer], SHARE * min(rates.values()), pace, results[peer])
            servers[peer].end()

        for peer in results:
            attempt(results[peer], start_closed, peer)
        for peer in results:
            if peer in rates:
                attempt(results[peer], finish_open, peer)


def figure(result, load, name):
    """The median of the passes. The slowest in a thousand needs a thousand."""
    found = [phase[name] for phase in result.loads[load]
             if name != "p99.9" or phase["answers"] >= ENOUGH_FOR_P999] if result else []
    return statistics.median(found) if found else None

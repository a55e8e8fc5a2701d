"""What tools/bench measures: the peers, and the rows of work that each of them does."""
import dataclasses
import os
import pathlib

import traffic

# Name, program below the build's bin folder, arguments, what it is.
PEERS = {
    "iocp": ("iocp/bench_libevent", ["--port"], "libevent with this project, on the port"),
    "select": ("stock/bench_libevent", [], "libevent alone, on select"),
    "stock-iocp": ("stock/bench_libevent", ["--port", "--locks"],
                   "libevent alone, with its own IOCP, which works only with libevent's locks switched on"),
    "libuv": ("bench/bench_libuv", [], "libuv"),
    "wepoll": ("bench/bench_wepoll", [], "wepoll: epoll on Windows, the program sends and receives itself"),
    "floor": ("bench/bench_floor", [], "Win32 calls, no library"),
}
OURS, FLOOR = "iocp", "floor"
WEPOLL_SOURCE = os.environ.get("WEPOLL_SOURCE_DIR")


def default_peers():
    """All but wepoll, if its source is not given."""
    return [peer for peer in PEERS if peer != "wepoll" or WEPOLL_SOURCE]


def check_wepoll(peers):
    if not WEPOLL_SOURCE:
        traffic.require("wepoll" not in peers, "wepoll is a peer only with WEPOLL_SOURCE_DIR=<folder of wepoll.c>")
        return
    for name in ("wepoll.c", "wepoll.h"):
        traffic.require((pathlib.Path(WEPOLL_SOURCE) / name).is_file(),
                        f"WEPOLL_SOURCE_DIR={WEPOLL_SOURCE}: there is no {name} (wepoll's branch dist has it)")


NO_TIMERS = "Windows offers none to count or compare: they are a heap in the program"
NO_WEPOLL_TIMERS = "has none: they are a heap in the program"
NO_LOOP = "serves in the order in which it finds packets, and has no timers"
NO_KEPT = "is in the row of those that end"
NO_PIPES = "has no named pipes"
NO_EVHTTP = "has no HTTP server"
NO_NATIVE = "is in the rows with both ends in one process"


# Work for which ours has a program of its own.
PIPES = "pipes"
HAS_PIPES = (traffic.ROOT / "bufferevent/include/event2/iocp_handle.h").is_file()
# What the work of a row in two processes begins with.
NATIVE = "native-"


@dataclasses.dataclass
class Row:
    name: str
    title: str
    unit: str
    work: str  # --row of the program, or "http", "https", "memory", "waiting", "native-echo", "native-http", ...
    connections: int = 1
    active: int = 1
    idle: int = 0  # connections beside those, on which nothing happens
    size: int = 64
    pieces: int = 1
    count_units: int = 200  # length of the shorter counted run
    step_units: int = 0  # that are stepped through to count instructions; 0: none are
    time_units: int = 0  # length of a timed run; 0: as many as take the pace's time
    open_ends: int = 0  # that a whole run comes to, where connections stay
    takes_ports: bool = False  # it makes so many connections that the ports of those before may run out
    plot: str = ""  # the rows of one plot differ in connections alone
    quick: bool = True  # part of --quick
    left_out: dict = dataclasses.field(default_factory=dict)  # peer: why

    def arguments(self):
        return ["--row", self.work, "--connections", self.connections, "--active", self.active,
                "--size", self.size, "--pieces", self.pieces]

    def protocol(self):
        """That of a server's row: http, https or echo."""
        return self.work.removeprefix(NATIVE)


def pingpong(connections, active, **more):
    who = "all active" if active == connections else f"{active} of them active"
    count = "1 connection" if connections == 1 else f"{connections:,} connections, {who}"
    name = f"pingpong-{active}-of-{connections}" if active != connections else f"pingpong-{connections}"
    plot = "Ping-pong, all active" if active == connections else "Ping-pong, 10 active"
    return Row(name, f"ping-pong, 64 B, {count}", "round trip", "pingpong", connections, active,
               plot=plot, **more)


def plain(connections, **more):
    who, beside = (", all active", "") if connections == 10 else (", 10 of them active", f"-of-{connections}")
    return Row(f"plain-10{beside}", f"plain events, ping-pong, 64 B, {connections:,} connections{who}", "round trip",
               "plain", connections, 10, plot="Plain events, 10 active", **more)


def http(name, connections, idle=0):
    left_out = {"libuv": NO_EVHTTP, "wepoll": NO_EVHTTP, "floor": NO_EVHTTP}
    beside = f" beside {idle:,} idle ones" if idle else ""
    return Row(f"{name}-{connections}" + (f"-idle-{idle}" if idle else ""),
               f"{name.upper()} keep-alive, evhttp under wrk, {connections} connections{beside}, 1,000 B",
               "request", name, connections, connections, idle, left_out=left_out, quick=not idle)


def native(protocol, connections, count_units=1000):
    left_out = dict.fromkeys(("stock-iocp", "wepoll"), NO_NATIVE)
    if protocol != "echo":
        left_out.update(dict.fromkeys(("libuv", "wepoll", "floor"), NO_EVHTTP))
    size = 64 if protocol == "echo" else 1000
    what = "echo, 64 B" if protocol == "echo" else f"{protocol.upper()} keep-alive, 1,000 B"
    count = "1 connection" if connections == 1 else f"{connections:,} connections"
    return Row(f"{NATIVE}{protocol}-{connections}", f"{what}, {count} of a Linux program",
               "round trip" if protocol == "echo" else "request", f"{NATIVE}{protocol}", connections, connections,
               size=size, count_units=count_units, left_out=left_out, quick=connections == 100)


def native_among(idle, select=None, **more):
    """10 active ones beside so many. The client is another process, so that the server alone has them all."""
    count = idle + 10
    row = native("echo", 10, **more)
    if select:
        row.left_out["select"] = select
    return dataclasses.replace(row, name=f"{NATIVE}echo-10-of-{count}", idle=idle, quick=False,
                               title=f"echo, 64 B, {count:,} connections of a Linux program, 10 of them active")


def is_native(row):
    """Is the server alone a Windows program?"""
    return row.work.startswith(NATIVE)


def pipes(connections, **more):
    count = "1 pipe" if connections == 1 else f"{connections} pipes"
    return Row(f"pipes-{connections}", f"ping-pong over named pipes, 64 B, {count}", "round trip", PIPES, connections,
               connections, left_out=dict.fromkeys(("select", "stock-iocp", "wepoll"), NO_PIPES), **more)


def waiting(busy, **more):
    who = "1 connection is" if busy == 1 else f"{busy} connections are"
    return Row(f"waiting-{busy}", f"what a quiet event waits for while {who} always busy", "event",
               "waiting", busy, left_out={"floor": NO_LOOP}, **more)


ROWS = [
    pingpong(1, 1, step_units=50),
    pingpong(100, 100, count_units=1000, step_units=200),
    pingpong(1000, 1000, count_units=2000, quick=False),
    pingpong(100, 10, quick=False),
    pingpong(200, 10),
    pingpong(1000, 10, quick=False),
    pingpong(4000, 10, count_units=100, quick=False),
    Row("large-10", "ping-pong, 64 KiB, 10 connections", "round trip", "pingpong", 10, 10, 65536,
        step_units=10),
    Row("bulk", "one way, 64 KiB blocks, 1 connection", "block", "bulk", size=65536, step_units=20),
    *((pipes(1, step_units=50), pipes(10)) if HAS_PIPES else ()),
    Row("churn", "connect, 64 B and back, close; 10 at a time", "connection", "churn", 10, 10, step_units=30,
        time_units=300, takes_ports=True),
    Row("connects", "connect, 64 B and back, and stay; 10 at a time", "connection", "connects", 10, 10,
        time_units=600, open_ends=4500, takes_ports=True, left_out={"wepoll": NO_KEPT}),
    Row("writes-16", "16 writes of 64 B in one callback, and back; 10 connections", "round trip",
        "pingpong", 10, 10, pieces=16, step_units=20),
    plain(10, quick=False),
    plain(100, step_units=50),
    plain(4000, count_units=100, quick=False),
    Row("timers", "timers, 1,000,000 added, half cancelled, half fired", "timer", "timers",
        count_units=100000, time_units=1000000,
        left_out={"wepoll": NO_WEPOLL_TIMERS, "floor": NO_TIMERS}),
    Row("wakeup", "two loops in two threads wake each other", "wake-up and answer", "wakeup", step_units=50),
    Row("startup", "a loop made, run once and freed", "loop", "startup", count_units=100, step_units=50),
    http("http", 100),
    http("http", 100, idle=4000),
    http("https", 100),
    *(native(protocol, *counted) for protocol in ("echo", "http", "https")
      for counted in ((1, 200), (10,), (100,), (1000, 2000))),
    native_among(90),
    native_among(19990, count_units=200, select="goes through all of them in each turn: it had not accepted them in 200 s"),
    waiting(1, count_units=400, time_units=800),
    waiting(10, count_units=400, time_units=800),
    waiting(100, count_units=400, time_units=400),
    Row("idle", "memory of an idle connection's end, 4,000 connections", "end", "memory", 4000),
]

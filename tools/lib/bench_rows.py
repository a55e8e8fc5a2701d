"""What tools/bench measures: the peers, and the rows of work that each of them does."""
import dataclasses

# Name, program below the build's bin folder, arguments, what it is.
PEERS = {
    "iocp": ("iocp/bench_libevent", ["--port"], "libevent with this project, on the port"),
    "select": ("stock/bench_libevent", [], "libevent alone, on select"),
    "stock-iocp": ("stock/bench_libevent", ["--port"], "libevent alone, with its own IOCP"),
    "libuv": ("bench/bench_libuv", [], "libuv"),
    "floor": ("bench/bench_floor", [], "Win32 calls, no library"),
}
OURS, FLOOR = "iocp", "floor"


@dataclasses.dataclass
class Row:
    name: str
    title: str
    unit: str
    work: str  # --row of the program
    connections: int = 1
    active: int = 1
    size: int = 64
    pieces: int = 1
    count_units: int = 200  # length of the shorter counted run
    plot: str = ""  # rows of one plot differ in connections alone
    quick: bool = True  # part of --quick
    left_out: dict = dataclasses.field(default_factory=dict)  # peer: why

    def arguments(self):
        return ["--row", self.work, "--connections", self.connections, "--active", self.active,
                "--size", self.size, "--pieces", self.pieces]


ROWS = [
    Row("pingpong-1", "ping-pong, 64 B, 1 connection", "round trip", "pingpong", plot="all active"),
    Row("pingpong-100", "ping-pong, 64 B, 100 connections, all active", "round trip", "pingpong",
        100, 100, count_units=1000, plot="all active"),
]

"""Runs the benchmark programs, for time and for calls."""
import dataclasses
import re
import statistics
import struct
import subprocess

import calls
import traffic
from bench_rows import OURS, PEERS, PIPES

# Time for one run of a program; select with thousands of connections takes its time.
LIMIT = 180
# A program that prints nothing has not begun: Wine did not start it.
STARTS = 2


@dataclasses.dataclass
class Pace:
    """How long and how often things are run."""
    name: str
    passes: int  # over all rows, the peers in another order each time
    repeat: int  # timed phases in a run
    target_ms: int
    rounds: int  # of each active connection in a timed phase, at the least
    wrk_repeat: int  # runs of wrk, which takes seconds each
    native_ms: int  # of each load in two processes
    divisor: int = 1  # of counted units and idle connections
    native_connections: int = 1000  # no more than so many in two processes
    hold_ms: int = 1500  # how long a program stands still for its memory to be seen
    smoke: bool = False  # right results are all that matters


FULL = Pace("a full run", passes=3, repeat=3, target_ms=150, rounds=50, wrk_repeat=3, native_ms=1500)
QUICK = Pace("a quick run", passes=1, repeat=3, target_ms=50, rounds=50, wrk_repeat=1, native_ms=500, hold_ms=700)
SMOKE = Pace("a run for results alone", passes=1, repeat=1, target_ms=1, rounds=1, wrk_repeat=1, native_ms=10, divisor=20,
             native_connections=20, hold_ms=500, smoke=True)


class Result:
    """What was measured of one peer in one row."""

    def __init__(self):
        self.times = []  # microseconds a unit, one of each phase
        self.pass_starts = []  # of each pass over all rows, how many times there were before it
        self.calls = None  # NT calls a unit
        self.packets = None  # taken from completion ports, a unit
        self.requests = None  # to Wine's server, a unit
        self.instructions = None  # of the program, a unit
        self.project_instructions = None  # those of the program's that are this project's, a unit
        self.dll_instructions = None  # of Windows's libraries, a unit
        self.names = {}  # both by name
        self.method = None
        self.bytes = None  # memory row
        self.waits = {}  # waiting rows, by event: callbacks, each the median, the 99th percentile and the most
        self.wait_times = {}  # microseconds, likewise, a list of what each pass has found
        self.loads = {"closed": [], "open": []}  # native rows: what the load generator has seen in each pass
        self.grown = {}  # native rows with idle connections: what each of those has taken, and how many there were
        self.failure = None  # why there are no figures, or not all

    def time(self):
        return statistics.median(self.times) if self.times else None

    def begin_pass(self):
        self.pass_starts.append(len(self.times))

    def pass_times(self):
        """The median of each pass that has any."""
        ends = [*self.pass_starts[1:], len(self.times)]
        return [statistics.median(self.times[start:end]) for start, end in zip(self.pass_starts, ends) if end > start]

    def set_counts(self, counts, units):
        self.calls = sum(counts.calls.values()) / units
        self.packets = counts.packets / units
        self.requests = sum(counts.requests.values()) / units
        self.names = {what: {name: count / units for name, count in found.most_common()
                             if abs(count) * 200 >= units}
                      for what, found in (("calls", counts.calls), ("requests", counts.requests))}

    def as_json(self):
        return {"method": self.method, "nt_calls": self.calls, "packets": self.packets,
                "requests": self.requests, "instructions": self.instructions,
                "project_instructions": self.project_instructions, "dll_instructions": self.dll_instructions, "names": self.names, "time_us": self.time(),
                "times_us": self.times, "bytes": self.bytes, "waits": self.waits, "wait_times_us": self.wait_times, "loads": self.loads,
                "grown": self.grown, "failure": self.failure}


def program(peer, row=None):
    name = "iocp/bench_pipes" if row and row.work == PIPES and peer == OURS else PEERS[peer][0]
    path = traffic.BUILD / "bin" / f"{name}.exe"
    traffic.require(path.is_file(), f"{path} is not built")
    return path


def image(path):
    """Where a program's file says that it lies in memory, and its size there."""
    header = path.read_bytes()[:4096]
    start = struct.unpack_from("<I", header, 0x3c)[0] + 24
    traffic.require(struct.unpack_from("<H", header, start)[0] == 0x20b, f"{path} is no 64-bit program")
    return struct.unpack_from("<Q", header, start + 24)[0], struct.unpack_from("<I", header, start + 56)[0]


def run_program(peer, row, arguments, environment=None):
    """Its phases as (units, seconds), the method it names, its standard output and its standard error."""
    traffic.allow_descriptors(max(4 * row.connections, row.open_ends) + 512)
    command = [calls.WINE_RUN, "--lane", traffic.SERVER_LANE, "--timeout", LIMIT, program(peer, row),
               *PEERS[peer][1], *row.arguments(), *arguments]
    for _ in range(STARTS):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              errors="replace", stdin=subprocess.DEVNULL,
                              env=environment or traffic.environment("select"))
        output = done.stdout.replace("\r", "")
        if output:
            break
        print(f"bench: {row.name} on {peer} did not start: status {done.returncode}", flush=True)
    traffic.require(done.returncode == 0 and "\ncomplete\n" in output,
                    f"{row.name} on {peer}: status {done.returncode}: "
                    f"{(output + done.stderr).strip()[-300:]}")
    phases = [(int(units), float(seconds))
              for units, seconds in re.findall(r"^phase (\d+) ([\d.]+)$", output, re.MULTILINE)]
    return phases, re.search(r"^method (\S+)", output, re.MULTILINE).group(1), output, done.stderr


def time_row(row, peer, pace, result):
    arguments = ["--target-ms", pace.target_ms, "--repeat", pace.repeat, "--rounds", pace.rounds]
    if row.time_units:
        units = max(row.time_units // pace.divisor, row.active)
        arguments = ["--units", ",".join([str(units)] * pace.repeat)]
    if row.takes_ports and not pace.smoke and not traffic.wait_for_ports():
        print(f"bench: {row.name} on {peer}: most ports are taken by connections that have ended", flush=True)
    phases, result.method, *_ = run_program(peer, row, arguments)
    traffic.require(len(phases) == pace.repeat, f"{row.name} on {peer}: {len(phases)} phases")
    result.times += [1e6 * seconds / units for units, seconds in phases]


def measure_waiting(row, peer, pace, result):
    """Callbacks depend less on the machine's speed than times do: ours looks for others by what a look costs."""
    result.waits = run_waiting(row, peer, max(row.count_units // pace.divisor, 4), "callbacks", result)


def time_waiting(row, peer, pace, result):
    for event, figures in run_waiting(row, peer, max(row.time_units * pace.target_ms // FULL.target_ms, 4), "us", result).items():
        result.wait_times.setdefault(event, []).append(figures)


def run_waiting(row, peer, events, unit, result):
    """By event: the median, the 99th percentile and the most."""
    _, result.method, output, _ = run_program(peer, row, ["--units", events])
    found = {name: tuple(map(float, figures.split()))
             for name, figures in re.findall(rf"^waited (\w+) {unit} ([\d. ]+)$", output, re.MULTILINE)}
    traffic.require(found, f"{row.name} on {peer}: nothing has waited")
    return found


class Idler(traffic.Server):
    """A program that waits while its memory is looked at."""

    def __init__(self, peer, connections, hold_ms):
        super().__init__("select", program(peer),
                         [*PEERS[peer][1], "--row", "pingpong", "--connections", connections,
                          "--hold-ms", hold_ms])


def measure_memory(row, peer, pace, result):
    """Private bytes of each end, beyond the process before it made its loop."""
    connections = row.connections // pace.divisor
    traffic.allow_descriptors(4 * connections + 512)
    with Idler(peer, connections, pace.hold_ms) as idler:
        empty = idler.private_bytes("empty", "method")
        idle = idler.private_bytes("idle", "complete")
        result.method = idler.find(r"^method (\S+)").group(1)
        traffic.require(idler.end(60) == 0, f"{row.name} on {peer}: {idler.output()[-300:]}")
    result.bytes = (idle - empty) / (2 * connections)


def count_row(counter, row, peer, pace, result):
    """Calls a unit: what a run of twice the length makes more than one of the single length, once warmed up."""
    units = max(row.count_units // pace.divisor, row.active)
    counter.settle()
    since = counter.mark()
    _, result.method, _, relay = run_program(peer, row, ["--units", f"{units},{units},{2 * units}"],
                                          counter.environment)
    counts = calls.count_between_marks(relay, counter.text(since, counter.mark()))
    traffic.require(len(counts) == 3, f"{row.name} on {peer}: {len(counts)} counted phases")
    counts[2].plus(counts[1], -1)
    result.set_counts(counts[2], units)

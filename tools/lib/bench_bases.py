"""The rows of tools/bench with several bases: one process, a thread for each base, listeners on one socket.

Clients are in the same threads, so that a unit is both its ends. Calls are counted as everywhere, on one core with Wine's
server; times are taken on all cores, which other rows are not."""
import dataclasses
import re
import statistics
import subprocess

import bench_report
import bench_setting
import calls
import traffic

PROGRAMS = {"iocp": ("iocp", ["--port"]), "select": ("stock", [])}
# Ours to its own with one base.
FLAT_CALLS = 1.05
TLS_SCALES = 1.7
LIMIT = 240
README = traffic.ROOT / "tools/benchmarks/README.md"
BEGIN, END = "<!-- tools/bench --tables, several bases: begin -->", "<!-- end -->"


@dataclasses.dataclass
class Row:
    name: str
    title: str
    unit: str
    bases: int
    connections: int
    size: int = 64  # over TLS: bits of the RSA key
    count_units: int = 1600
    time_units: int = 20000

    @property
    def tls(self):
        return "tls" in self.name

    def arguments(self, pace):
        size = 2048 if self.tls and pace.smoke else self.size
        return ["--row", self.name, "--connections", self.connections, "--active", min(self.connections, 8), "--size", size]


def plain(bases):
    """As many connections a base, however many there are: with fewer a turn has less to do, which costs calls, too."""
    return Row(f"bases-{bases}", f"HTTP keep-alive, evhttp, {bases} base{'s' * (bases > 1)}, 16 connections each, 1,000 B",
               "request", bases, 16 * bases)


def tls(bases):
    return Row(f"bases-tls-{bases}", f"HTTPS, a handshake for each request, RSA-4096, ffdhe4096, {bases} base{'s' * (bases > 1)}",
               "request", bases, 8, 4096, count_units=16, time_units=160)


ROWS = [plain(1), plain(2), plain(4), plain(8), tls(1), tls(2)]
# Not a row of units: private memory and heap of bases that do nothing.
MEMORY, IDLE_BASES = "bases-memory", 200
NAMES = [*(row.name for row in ROWS), MEMORY]


@dataclasses.dataclass
class Found:
    """Of one row on one peer."""
    nt_calls: float = None
    requests: float = None
    times_us: list = dataclasses.field(default_factory=list)
    accepted: list = dataclasses.field(default_factory=list)  # connections by base, of the last run
    answered: list = dataclasses.field(default_factory=list)  # requests by base
    locks: int = None  # slim locks taken in the last phase: OpenSSL has some of its own
    failure: str = None

    def time_us(self):
        return statistics.median(self.times_us) if self.times_us else None


def program(peer):
    path = traffic.BUILD / "bin" / PROGRAMS[peer][0] / "bench_bases.exe"
    traffic.require(path.is_file(), f"{path} is not built")
    return path


def run(peer, row, pace, units, environment):
    """The phases' units and seconds, its standard output, and its standard error."""
    command = [calls.WINE_RUN, "--lane", traffic.SERVER_LANE, "--timeout", LIMIT, program(peer), *PROGRAMS[peer][1],
               *row.arguments(pace), "--units", ",".join(map(str, units))]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL, env=environment)
    output = done.stdout.replace("\r", "")
    traffic.require(done.returncode == 0 and "\ncomplete\n" in output,
                    f"{row.name} on {peer}: status {done.returncode}: {output.strip()[-300:]}")
    phases = [(int(units), float(seconds))
              for units, seconds in re.findall(r"^phase (\d+) ([\d.]+)$", output, re.MULTILINE)]
    return phases, output, done.stderr


def count_row(counter, row, peer, pace, found):
    """As bench_run.count_row: what a run of twice the length makes more than one of the single length."""
    units = row.count_units
    counter.settle()
    since = counter.mark()
    _, output, relay = run(peer, row, pace, (units, units, 2 * units), counter.environment)
    counts = calls.count_between_marks(relay, counter.text(since, counter.mark()))
    traffic.require(len(counts) == 3, f"{row.name} on {peer}: {len(counts)} counted phases")
    counts[2].plus(counts[1], -1)
    found.nt_calls = sum(counts[2].calls.values()) / units
    found.requests = sum(counts[2].requests.values()) / units
    note_shares(row, peer, output, found)


def note_shares(row, peer, output, found):
    """What each base has had, and that each handshake was one."""
    bases = re.findall(r"^base (\d+) accepted (\d+) answered$", output, re.MULTILINE)
    traffic.require(len(bases) == row.bases, f"{row.name} on {peer}: {len(bases)} bases")
    found.accepted, found.answered = ([int(each[i]) for each in bases] for i in (0, 1))
    found.locks = int(re.search(r"^locks (\d+)$", output, re.MULTILINE).group(1))
    if row.tls:
        made, resumed = map(int, re.search(r"^handshakes (\d+) resumed (\d+)$", output, re.MULTILINE).groups())
        traffic.require(made == sum(found.answered) and resumed == 0,
                        f"{row.name} on {peer}: {made} handshakes, {resumed} resumed, {sum(found.answered)} answers")


def cores_for(pace):
    """All cores for the program and Wine's server, in lanes of their own; for right results one will do, and is faster."""
    return {**traffic.environment("select"), **({} if pace.smoke else {"LIBEVENT_IOCP_UNPINNED": "1"})}


def time_row(row, peer, pace, found):
    units = max(row.time_units // (100 if pace.smoke else 1 if pace.name == "a full run" else 4), row.connections)
    phases, output, _ = run(peer, row, pace, [units] * pace.repeat, cores_for(pace))
    found.times_us += [1e6 * seconds / units for units, seconds in phases]
    note_shares(row, peer, output, found)


class Idler(traffic.Server):
    def __init__(self, peer, hold_ms):
        super().__init__("select", program(peer), [*PROGRAMS[peer][1], "--row", "idle-bases", "--connections", IDLE_BASES,
                                                   "--hold-ms", hold_ms])


def measure_memory(peer, pace):
    """Private bytes and bytes of libevent's heap, of one base."""
    traffic.allow_descriptors(8 * IDLE_BASES + 512)
    with Idler(peer, pace.hold_ms) as idler:
        empty = idler.private_bytes("empty", "method")
        idle = idler.private_bytes("idle", "complete")
        heap = int(idler.find(r"^heap (\d+)$").group(1))
        traffic.require(idler.end(60) == 0, f"{MEMORY} on {peer}: {idler.output()[-300:]}")
    return {"private": (idle - empty) / IDLE_BASES, "heap": heap / IDLE_BASES}


def attempt(found, measured, *arguments):
    try:
        measured(*arguments)
    except (traffic.Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
        found.failure = str(failure) or repr(failure)
        print(f"bench: FAILED: {found.failure}", flush=True)


def measure(names, peers, pace, passes):
    """The rows by name, each with what was found of each peer, and the memory of each."""
    peers = [peer for peer in peers if peer in PROGRAMS]
    rows = [row for row in ROWS if row.name in names]
    results = {row.name: {peer: Found() for peer in peers} for row in rows}
    if rows and not pace.smoke:
        with calls.CallCounter() as counter:
            for row in rows:
                for peer, found in results[row.name].items():
                    attempt(found, count_row, counter, row, peer, pace, found)
                print(f"bench: NT calls: {row.name}: {figures(results[row.name], lambda found: found.nt_calls)}", flush=True)
    for number in range(passes):
        for row in rows:
            for peer, found in results[row.name].items():
                attempt(found, time_row, row, peer, pace, found)
            print(f"bench: time, {'one core' if pace.smoke else 'all cores'}, pass {number + 1} of {passes}: "
                  f"{row.name}: {figures(results[row.name], Found.time_us)}", flush=True)
    memory = {}
    for peer in peers if MEMORY in names else []:
        try:
            memory[peer] = measure_memory(peer, pace)
        except (traffic.Failure, OSError) as failure:
            memory[peer] = {"failure": str(failure)}
            print(f"bench: FAILED: {failure}", flush=True)
    return results, memory


def figures(found, value):
    return ", ".join(f"{peer} {bench_report.short(value(each))}" for peer, each in found.items())


def ratio(results, first, second, value):
    """Of ours in one row to ours in another."""
    both = [results.get(name, {}).get("iocp") for name in (first, second)]
    both = [value(found) if found else None for found in both]
    return both[0] / both[1] if all(both) else None


def verdicts(results):
    for name, peers in results.items():
        for peer, found in peers.items():
            if found.failure:
                yield False, f"{name}: {peer} failed"
    for row in ROWS[1:4]:
        flat = ratio(results, row.name, "bases-1", lambda found: found.nt_calls)
        if flat:
            yield flat <= FLAT_CALLS, f"{row.name}: NT calls at most {FLAT_CALLS} of bases-1: {flat:.3f}"
    for row in ROWS[:4]:
        locks = results.get(row.name, {}).get("iocp", Found()).locks
        if locks is not None:
            yield locks == 0, f"{row.name}: no lock that bases share is taken for a request: {locks} of the last phase"
    scaled = ratio(results, "bases-tls-1", "bases-tls-2", Found.time_us)
    if scaled:
        yield scaled >= TLS_SCALES, f"bases-tls-2: requests a second at least {TLS_SCALES} of bases-tls-1: {scaled:.2f}"


def spread(counts):
    return f"{min(counts)}-{max(counts)}" if counts else "-"


def print_report(results, memory):
    if results:
        print("\nSeveral bases on one listening socket (calls: one core; times: all cores)")
        print(f"{'':14}{'peer':8}{'NT calls':>10}{'requests':>10}{'us':>10}{'locks':>10}  connections / requests of a base")
    for name, peers in results.items():
        for peer, found in peers.items():
            figures_of = "".join(f"{bench_report.short(value):>10}" for value in (found.nt_calls, found.requests, found.time_us(), found.locks))
            print(f"{name:14}{peer:8}{figures_of}  {spread(found.accepted)} / {spread(found.answered)}")
    for peer, found in memory.items():
        if "failure" not in found:
            print(f"an idle base, {peer}: {found['private']:,.0f} private bytes, {found['heap']:,.0f} of libevent's heap")
    for good, text in verdicts(results):
        print(f"  {'met    ' if good else 'NOT MET'} {text}")


def table(report):
    """Lines of a table, from what as_json gave."""
    yield "| What | NT calls: ours | select | requests: ours | select | connections of a base: ours | select |"
    yield "|---" * 7 + "|"
    for row in ROWS:
        peers = report["rows"].get(row.name, {})
        cells = [bench_report.short(peers[peer][figure]) if peer in peers else "-"
                 for figure in ("nt_calls", "requests") for peer in PROGRAMS]
        cells += [spread(peers[peer]["accepted"]) if peer in peers else "-" for peer in PROGRAMS]
        yield f"| {row.title}: a {row.unit} | " + " | ".join(cells) + " |"


def update(measured):
    """Writes the table into the benchmarks' README."""
    text = README.read_text()
    pattern = re.compile(re.escape(BEGIN) + r"\n.*?" + re.escape(END), re.DOTALL)
    traffic.require(len(pattern.findall(text)) == 1, f"{README.name} has no place for the table of several bases")
    lines = "\n".join(table(measured["bases"]))
    idle = "".join(f" An idle base takes {found['private']:,.0f} private bytes, {found['heap']:,.0f} of libevent's heap ({peer})."
                   for peer, found in measured["bases"]["memory"].items())
    setting = f"Measured on: {bench_setting.as_text(measured['setting'])}.{idle}"
    README.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{lines}\n\n{setting}\n\n{END}", text))


def as_json(results, memory):
    return {"rows": {name: {peer: dataclasses.asdict(found) for peer, found in peers.items()}
                     for name, peers in results.items()}, "memory": memory}


def failures(results, memory):
    found = [each.failure for peers in results.values() for each in peers.values() if each.failure]
    return found + [each["failure"] for each in memory.values() if "failure" in each]

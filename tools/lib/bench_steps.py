"""Instructions that a unit of work takes, counted one by one: tools/benchmarks/steps, a Linux program, steps through ours.

No counter of the processor is needed for that, and neither is a quiet machine: the count is the same within a part in a
thousand. It takes a hundred thousand instructions a second at the most, so that few units have to do."""
import fcntl
import re
import subprocess

import bench_load
import bench_profile
import bench_run
import traffic
from bench_rows import FLOOR, OURS, PEERS

SOURCES = traffic.ROOT / "tools/benchmarks/steps"
PROGRAM = traffic.ROOT / "build/native/steps"
# How long the program stands still for the counter to come. It is given longer where that was not enough.
HOLDS_MS = (500, 2000, 8000)
LIMIT = 240
# Those of the tables. Each takes its time.
STEPPED = (OURS, "select", "libuv", FLOOR)
NOT_ALLOWED = "Operation not permitted"


def build():
    """Builds what is not built or older than its sources."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with open(PROGRAM.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
        if PROGRAM.is_file() and PROGRAM.stat().st_mtime > newest:
            return
        new = PROGRAM.with_suffix(".new")
        bench_load.run([*bench_load.COMPILE, *sorted(SOURCES.glob("*.cpp")), "-o", new],
                       "the counter of instructions does not build", 300)
        new.replace(PROGRAM)


def stepped(row, peer, units, hold_ms, profile):
    """What the counter says, or None if it came too late."""
    path = bench_run.program(peer, row)
    arguments = [*PEERS[peer][1], *row.arguments(), "--steps", "--hold-ms", hold_ms, "--units", f"{units},{units}"]
    with traffic.Server("select", path, arguments, limit=LIMIT + 60) as server:
        server.find("^idle$")
        command = [PROGRAM, server.windows_pid(), *bench_run.image(path), profile]
        try:
            # On the same core the program has the next step without another core being woken.
            done = subprocess.run(["taskset", "-c", str(traffic.CORES[traffic.SERVER_LANE]), *map(str, command)],
                                  capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise traffic.Failure(f"{row.name} on {peer}: no {units} units, stepped through, in {LIMIT} s") from None
        status = server.end(20)
        output = server.output()
    if done.returncode != 0 and NOT_ALLOWED not in done.stdout:
        return None
    traffic.require(NOT_ALLOWED in done.stdout or (status == 0 and output.endswith("complete\n")),
                    f"{row.name} on {peer}, stepped through: status {status}: {done.stdout} {output[-300:]}")
    return done.stdout


def count_row(row, peer, pace, result):
    """Instructions a unit, of the program and of the DLLs that it calls. None where threads may not be stepped through."""
    units = max(row.step_units // pace.divisor, row.active)
    profile = PROGRAM.with_name(f"profile-{row.name}-{peer}")
    said = next(filter(None, (stepped(row, peer, units, hold, profile) for hold in HOLDS_MS)), None)
    traffic.require(said is not None, f"{row.name} on {peer}: the counter of instructions came too late, each time")
    found = re.fullmatch(r"program (\d+) windows (\d+) entries (\d+)\n", said)
    if not found:
        print(f"bench: {row.name} on {peer}: instructions cannot be counted here: {said.strip()}", flush=True)
        return
    result.instructions, result.dll_instructions = (int(found.group(number)) / units for number in (1, 2))
    if peer == OURS:
        functions = bench_profile.by_function(profile, bench_run.program(peer, row))
        result.project_instructions = sum(count for name, count in functions.items() if bench_profile.is_projects(name)) / units
        bench_profile.write(traffic.ROOT / "build/bench" / f"instructions-{row.name}.txt", functions, units)

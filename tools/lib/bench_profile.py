"""Whose the counted instructions are, and in which functions: by the symbols of the program."""
import bisect
import collections
import subprocess

import bench_run
import traffic

NM = "x86_64-w64-mingw32-nm"


def symbols(program):
    """The program's functions, by address."""
    done = subprocess.run([NM, "-C", program], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    traffic.require(done.returncode == 0, f"{NM} {program}: {done.stderr.strip()}")
    lines = (line.split(" ", 2) for line in done.stdout.splitlines())
    return sorted((int(line[0], 16), line[2]) for line in lines if len(line) == 3 and line[0] and line[1] in "tT")


def by_function(profile, program):
    """How many of the program's own instructions each function has executed."""
    base, size = bench_run.image(program)
    known = symbols(program)
    starts = [address for address, _ in known]
    found = collections.Counter()
    for line in profile.read_text(encoding="utf-8").splitlines():
        address, count = int(line.split()[0], 16), int(line.split()[1])
        if base <= address < base + size:
            found[known[bisect.bisect(starts, address) - 1][1]] += count
    return found


def is_projects(function):
    """Ours, and neither libevent's, nor the benchmark's or the compiler's."""
    return "iocp::" in function or function.startswith("iocp_")


def write(path, found, units):
    lines = [f"{count / units:10.1f}  {function}\n" for function, count in found.most_common()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")

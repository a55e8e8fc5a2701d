"""Where and of what the figures of tools/bench are: what a reader needs to weigh them."""
import os
import pathlib
import re
import subprocess
import time as clock

import traffic


def said_by(*command):
    """A program's first line, or None where there is no such program."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=traffic.ROOT)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else None


def found_in(path, pattern):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def source_version(variable):
    """As the folder of a source tree says it, which the build was configured with."""
    folder = found_in(traffic.BUILD / "CMakeCache.txt", rf"^{variable}:\w+=(.+)$")
    return pathlib.Path(folder).name.split("-", 1)[-1] if folder else None


def setting():
    known = {
        "date": clock.strftime("%Y-%m-%d"),
        "commit": said_by("git", "describe", "--always", "--dirty"),
        "processor": found_in("/proc/cpuinfo", r"^model name\s*: (.+)$"),
        "cores": len(os.sched_getaffinity(0)),
        "load at the start": round(os.getloadavg()[0], 2),
        "system": found_in("/etc/os-release", r'^PRETTY_NAME="(.+)"$'),
        "Wine": (said_by("wine", "--version") or "").removeprefix("wine-") or None,
        "mingw-w64 gcc": said_by("x86_64-w64-mingw32-g++-posix", "-dumpfullversion"),
        "libevent": source_version("LIBEVENT_SOURCE_DIR"),
    }
    return {name: value for name, value in known.items() if value is not None}


def as_text(known):
    speak_for_themselves = ("date", "processor", "system")
    return ", ".join(str(value) if name in speak_for_themselves else f"{name} {value}" for name, value in known.items())

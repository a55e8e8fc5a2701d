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


def libevent_version():
    """Of the tree that the build was configured with: its own word, and its commit where it is a checkout."""
    folder = found_in(traffic.BUILD / "CMakeCache.txt", r"^LIBEVENT_SOURCE_DIR:\w+=(.+)$")
    if folder is None:
        return None
    version = found_in(pathlib.Path(folder) / "configure.ac", r"^AC_INIT\(libevent,\s*([\w.-]+)\)")
    is_checkout = (pathlib.Path(folder) / ".git").exists()
    commit = said_by("git", "-C", folder, "rev-parse", "--short", "HEAD") if is_checkout else None
    return " ".join(filter(None, (version or pathlib.Path(folder).name, commit)))


def libuv_version():
    header = traffic.ROOT / "build/deps/libuv/include/uv/version.h"
    parts = [found_in(header, rf"^#define UV_VERSION_{part}\s+(\d+)") for part in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(parts) if all(parts) else None


def wine_version():
    """Of the one that tools/wine-run runs."""
    found = next((path for path in ("/usr/lib/wine/wine64", "/usr/lib/wine/wine") if os.path.exists(path)), "wine")
    return (said_by(found, "--version") or "").removeprefix("wine-") or None


def setting(run):
    """`run`: how much was measured, in words."""
    known = {
        "run": run,
        "date": clock.strftime("%Y-%m-%d"),
        "commit": said_by("git", "describe", "--always", "--dirty"),
        "processor": found_in("/proc/cpuinfo", r"^model name\s*: (.+)$"),
        "cores": len(os.sched_getaffinity(0)),
        "load before it": os.environ.get("LIBEVENT_IOCP_LOAD"),
        "system": found_in("/etc/os-release", r'^PRETTY_NAME="(.+)"$'),
        "Wine": wine_version(),
        "mingw-w64 gcc": said_by("x86_64-w64-mingw32-g++-posix", "-dumpfullversion"),
        "libevent": libevent_version(),
        "libuv": libuv_version(),
    }
    return {name: "not known" if value is None else value for name, value in known.items()}


def as_text(known):
    speak_for_themselves = ("run", "date", "processor", "system")
    return ", ".join(str(value) if name in speak_for_themselves else f"{name} {value}" for name, value in known.items())

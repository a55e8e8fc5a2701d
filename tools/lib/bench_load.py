"""The load generator of tools/benchmarks/native: a Linux program, built here when it is first needed."""
import contextlib
import fcntl
import os
import re
import select
import subprocess
import time

import traffic

SOURCES = traffic.ROOT / "tools/benchmarks/native"
PROGRAM = traffic.ROOT / "build/native/load"
COMPILE = ["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-I", traffic.ROOT]
LIBRARIES = ["-lssl", "-lcrypto", "-pthread"]
START_LIMIT = 90
# Of a phase, beyond its own length: the generator itself complains of a server that has stopped, and sooner.
LIMIT = 60
END_LIMIT = 20
# The phases' lines.
NUMBERS = ("answers", "seconds", "p50", "p99", "p99.9", "most", "waiting", "late")


def run(command, what, limit):
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=limit)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise traffic.Failure(f"{what}: {error}") from None
    traffic.require(done.returncode == 0, f"{what}: {(done.stdout + done.stderr).strip()[-1000:]}")


def build():
    """Builds what is not built or older than its sources, and has it test itself."""
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with open(PROGRAM.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
        if PROGRAM.is_file() and PROGRAM.stat().st_mtime > newest:
            return
        new = PROGRAM.with_suffix(".new")
        run([*COMPILE, *sorted(SOURCES.glob("*.cpp")), "-o", new, *LIBRARIES], "the load generator does not build", 300)
        new.replace(PROGRAM)


def self_test():
    run([PROGRAM, "--self-test"], "the load generator", 60)


class Load:
    """A running generator with its connections. Whatever is not as it must be is a Failure that says what."""

    def __init__(self, name, protocol, port, connections, size, start_limit=START_LIMIT):
        self.name, self.said = name, b""
        traffic.allow_descriptors(connections + 256)
        command = [PROGRAM, "--protocol", protocol, "--port", port, "--connections", connections, "--size", size]
        self.process = subprocess.Popen(traffic.client(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.expect("ready", start_limit)
        except BaseException:
            self.close()
            raise

    def closed_count(self, requests):
        return self.phase(f"closed-count {requests}", LIMIT)

    def closed_ms(self, milliseconds):
        return self.phase(f"closed-ms {milliseconds}", LIMIT + milliseconds / 1000)

    def open(self, rate, requests):
        return self.phase(f"open {rate:.3f} {requests}", LIMIT + requests / rate)

    def end(self):
        """Closes all connections, on which nothing may have come since."""
        self.tell("end")
        self.expect("complete", END_LIMIT)

    def phase(self, command, limit):
        """Its figures by name: times in us, but seconds in seconds."""
        self.tell(command)
        line = self.line(limit)
        found = re.findall(r"(\S+) ([\d.]+)", line)
        traffic.require(tuple(name for name, _ in found) == NUMBERS, f"{self.name}: {line}")
        return {name: float(value) for name, value in found}

    def tell(self, command):
        with contextlib.suppress(BrokenPipeError):  # it has ended: its last line says why
            self.process.stdin.write(f"{command}\n".encode())
            self.process.stdin.flush()

    def expect(self, wanted, limit):
        line = self.line(limit)
        traffic.require(line == wanted, f"{self.name}: {line}")

    def line(self, limit):
        """The next line that it prints."""
        deadline, output = time.monotonic() + limit, self.process.stdout.fileno()
        while b"\n" not in self.said:
            left = deadline - time.monotonic()
            traffic.require(left > 0 and select.select([output], [], [], left)[0],
                            f"{self.name}: no word of the load generator in {limit:.0f} s")
            block = os.read(output, 4096)
            if not block:
                raise traffic.Failure(f"{self.name}: the load generator has ended with status {self.status()}")
            self.said += block
        line, self.said = self.said.split(b"\n", 1)
        return line.decode(errors="replace")

    def status(self):
        """Of one that has closed its output, which is not yet its end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(5)
        return "none"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what it was told last and has not read
            self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

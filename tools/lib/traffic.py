"""Windows programs under Wine as servers for native clients, for tools/demo and regress/real.

A server runs through tools/wine-run on one lane, that is on one core with Wine's server; the
clients (curl, wrk, Python) run on another core, if there is one.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from processes import descendants, private_bytes, process_state, processor_ticks

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIBEVENT_IOCP_BUILD", ROOT / "build/mingw"))
CORES = sorted(os.sched_getaffinity(0))
SERVER_LANE = 0
CLIENT_CORE = CORES[1 % len(CORES)]
# What a program is built with, and what switches its base to the method in the name's second half.
KINDS = {
    "select": ("stock", {}),
    "iocp": ("iocp", {"EVENT_IOCP": "1"}),
}


class Failure(Exception):
    """A check did not hold: the text says which."""


def require(condition, text):
    if not condition:
        raise Failure(text)


def main(name, check):
    """Runs a check as a program: its exit status, and one line when it fails."""
    try:
        check()
    except Failure as failure:
        print(f"{name}: FAILED: {failure}", flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def program(kind, name):
    path = BUILD / "bin" / KINDS[kind][0] / f"{name}.exe"
    require(path.is_file(), f"{path} is not built: run 'tools/test build' first")
    return path


def environment(kind, extra=None):
    """The caller's environment with libevent's switches of our choice alone."""
    result = {key: value for key, value in os.environ.items() if not key.startswith("EVENT_")}
    result.update(KINDS[kind][1])
    result.update(extra or {})
    return result


def allow_descriptors(count):
    """Raises the limit of open files for this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        require(hard == resource.RLIM_INFINITY or hard >= count,
                f"{count} open files are needed, and the limit is {hard} (ulimit -Hn)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


# A connection's port stays taken for a minute after its end. With most of Linux's 28,000 taken, a bind that looks for
# one takes milliseconds.
MOST_PORTS_TAKEN = 10000
PORTS_LIMIT = 90


def wait_for_ports():
    """Until few enough are taken by connections that have ended. False: others go on taking them."""
    deadline = time.monotonic() + PORTS_LIMIT
    while time.monotonic() < deadline:
        found = re.search(r"^TCP: .* tw (\d+)", pathlib.Path("/proc/net/sockstat").read_text(), re.MULTILINE)
        if not found or int(found.group(1)) < MOST_PORTS_TAKEN:
            return True
        time.sleep(0.5)
    return False


@contextlib.contextmanager
def reserved_port():
    """A port that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def free_port():
    with reserved_port() as port:
        return port


def wait_until(condition, seconds, what):
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        require(time.monotonic() < deadline, f"{what}: not within {seconds} s")
        time.sleep(0.02)


@contextlib.contextmanager
def idle_connections(port, count):
    """So many connections to an HTTP server, on which nothing happens. A request now and then waits for
    the server to take what has come, since it does not queue that many."""
    allow_descriptors(count + 512)
    address = ("127.0.0.1", port)
    with contextlib.ExitStack() as kept:
        for number in range(count):
            kept.enter_context(socket.create_connection(address, 60))
            if number % 50 == 49 or number == count - 1:
                with socket.create_connection(address, 60) as asking:
                    asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    require(asking.recv(64).startswith(b"HTTP/1"), f"no answer beside {number} idle connections")
        yield


def accepts_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Server:
    """A program under Wine, from start to end. Only its own processes are ever ended. `counter` is a
    calls.CallCounter, for one whose calls are counted: then trace() tells them."""

    def __init__(self, kind, name, arguments, limit=300, extra=None, counter=None):
        self.output_file = tempfile.NamedTemporaryFile(prefix="libevent-iocp-", suffix=".out")
        self.trace_file = None
        path = name if isinstance(name, pathlib.Path) else program(kind, name)
        self.name = f"{path.stem} on {kind}"
        variables = environment(kind, {"EVENT_SHOW_METHOD": "1", **(extra or {})})
        options = ["--lane", SERVER_LANE, "--timeout", limit, "--output", self.output_file.name]
        if counter:
            counter.settle()
            variables.update(counter.variables)
            self.trace_file = tempfile.NamedTemporaryFile(prefix="libevent-iocp-", suffix=".relay")
            options += ["--errors", self.trace_file.name]
        self.process = subprocess.Popen(
            list(map(str, [ROOT / "tools/wine-run", *options, path, *arguments])),
            env=variables, stdin=subprocess.DEVNULL)

    def output(self):
        with open(self.output_file.name, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20).replace("\r\n", "\n")

    def trace(self, since=0, until=None):
        """What the program has written to its standard error between two places: Wine's trace of its calls."""
        with open(self.trace_file.name, "rb") as file:
            file.seek(since)
            return file.read(-1 if until is None else until - since).decode(errors="replace")

    def find(self, pattern, seconds=60, read=None):
        """Waits for a pattern in the output, or in what `read` returns, and returns its match."""
        def look():
            match = re.search(pattern, (read or self.output)(), re.MULTILINE)
            require(match or self.process.poll() is None,
                    f"{self.name} ended with status {self.process.returncode}: "
                    f"{self.output().strip()[-300:]}")
            return match
        return wait_until(look, seconds, f"{self.name}: no line like {pattern!r}")

    def method(self):
        """What the program's base says it runs on."""
        # libevent says so on the standard error.
        return self.find(r"libevent using: (\w+)", read=self.trace if self.trace_file else None).group(1)

    def end(self, seconds=20):
        """Waits for it to end by itself and returns its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None

    def close(self):
        if self.process.poll() is None:
            self.wait_until_idle()
            # wine-run passes it on to the Windows program, and to nothing else.
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output_file.close()
        if self.trace_file:
            self.trace_file.close()

    def wait_until_idle(self):
        """A program that is ended in mid-work leaves Wine's server its sockets: see calls.settle."""
        pid, seen = self.find_windows_pid(), []
        with contextlib.suppress(OSError):
            for _ in range(30):
                seen.append((processor_ticks(pid), process_state(pid)))
                if len(seen) >= 4 and set(seen[-4:]) == {(seen[-1][0], "S")}:
                    break
                time.sleep(0.05)

    def windows_pid(self):
        """The Unix process of the Windows program, which runs."""
        pid = self.find_windows_pid()
        require(pid, self.last_words())
        return pid

    def interrupt(self):
        """By the signal that Wine takes for Ctrl-C."""
        try:
            os.kill(self.windows_pid(), signal.SIGINT)
        except ProcessLookupError:
            raise Failure(self.last_words()) from None

    def last_words(self):
        return f"{self.name} has ended: {self.output().strip()[-300:]}"

    def find_windows_pid(self):
        """None: it has ended."""
        name = r"[^\0]*\.exe"
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                # wine-run, timeout, setpriv and taskset name the program too, but not first.
                if re.match(name, command):
                    return pid
        return None

    def private_bytes(self, mark, next_mark):
        """Those of the process while it waits between two lines of its output."""
        self.find(f"^{mark}$", 120)
        size = private_bytes(self.windows_pid())
        require(not re.search(f"^{next_mark}", self.output(), re.MULTILINE),
                f"{self.name}: measured too late, the machine is too busy")
        return size

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def http_server(kind, root, **options):
    """libevent's sample server, and its port."""
    server = Server(kind, "http-server", ["-p", "0", windows_path(root)], **options)
    try:
        port = int(server.find(r"^Listening on \S+:(\d+)").group(1))
    except BaseException:
        server.close()
        raise
    return server, port


def windows_path(path):
    """Wine shows the Unix root as drive Z."""
    return "z:" + str(path)


def client(command):
    """A native command line on the clients' core."""
    return ["taskset", "-c", str(CLIENT_CORE), *map(str, command)]


def run_client(command, limit, text=True):
    try:
        return subprocess.run(client(command), capture_output=True, text=text, timeout=limit,
                              stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"no end after {limit} s: {' '.join(map(str, command))}") from None


def random_file(path, size):
    """Fills a file with bytes that do not repeat, and returns their SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        while size:
            block = os.urandom(min(size, 1 << 20))
            file.write(block)
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def curl_sha256(arguments, limit):
    """Runs curl and returns the SHA-256 of what it printed, their number, and the seconds."""
    digest, count, started = hashlib.sha256(), 0, time.monotonic()
    command = ["curl", "--silent", "--show-error", "--fail", "--max-time", limit, *arguments]
    with subprocess.Popen(client(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
        while block := curl.stdout.read(1 << 18):
            digest.update(block)
            count += len(block)
        error = curl.stderr.read().decode().strip()
    require(curl.returncode == 0, f"curl: {error or curl.returncode}")
    return digest.hexdigest(), count, time.monotonic() - started


class WrkResult:
    """What wrk has printed. `body` as in wrk_command: it goes on without a script that does not load."""

    def __init__(self, text, body=None):
        self.text = text
        total = re.search(r"^\s*(\d+) requests in ([\d.]+)(m?s|m),", text, re.MULTILINE)
        require(total, f"wrk says: {text.strip()[-300:]}")
        self.requests = int(total.group(1))
        rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.MULTILINE)
        self.rate = float(rate.group(1))
        errors = re.search(
            r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        self.connect, self.read, self.write, self.timeout = (
            map(int, errors.groups()) if errors else (0, 0, 0, 0))
        compared = re.search(r"^Bodies: (\d+) compared, (\d+) wrong$", text, re.MULTILINE)
        self.compared, self.wrong = map(int, compared.groups()) if compared else (0, 0)
        require(not body or (compared and self.compared >= self.requests),
                f"wrk has compared {self.compared} bodies of {self.requests}: {text.strip()[-300:]}")
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.bad_status = int(bad.group(1)) if bad else 0

    def errors(self):
        return (self.connect + self.read + self.write + self.timeout + self.bad_status
                + self.wrong)

    def describe_errors(self):
        return (f"connect {self.connect}, read {self.read}, write {self.write}, "
                f"timeout {self.timeout}, status {self.bad_status}, wrong bodies {self.wrong}")


def wrk_command(url, connections, seconds, timeout=30, body=None, pipeline=1, headers=()):
    """Keep-alive connections that ask without a pause. `timeout` is that of one request; `body`
    names a file that every answer is compared with; `pipeline` requests are sent at a time."""
    allow_descriptors(connections + 256)
    command = ["wrk", "--threads", 1, "--connections", connections, "--duration", f"{seconds}s",
               "--timeout", f"{timeout}s"]
    for header in headers:
        command += ["--header", header]
    if not body:
        return [*command, url]
    variables = [f"EXPECTED_BODY={body}", *([f"PIPELINE={pipeline}"] if pipeline > 1 else [])]
    return ["env", *variables, *command, "--script", ROOT / "tools/lib/check_body.lua", url]


def wrk(url, connections, seconds, timeout=30, body=None, **options):
    done = run_client(wrk_command(url, connections, seconds, timeout, body, **options),
                      seconds + timeout + 60)
    require(done.returncode == 0, f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    return WrkResult(done.stdout, body)


def wrk_until(server, url, connections, seconds, wanted, limit=180, **options):
    """Runs wrk for so long, and again, longer each time, until so many requests have been answered: on a
    busy machine a run may see few answers, or none beyond its TLS handshakes, and that is no fault.
    Returns the answers and the last rate."""
    total, deadline = 0, time.monotonic() + limit
    while True:
        result = wrk(url, connections, seconds, **options)
        require(result.errors() == 0, f"{server.name}: {result.requests} requests on {connections} "
                                      f"connections, errors: {result.describe_errors()}")
        total += result.requests
        if total >= wanted:
            return total, result.rate
        seconds *= 2
        require(time.monotonic() < deadline, f"{server.name}: {total} requests in {limit} s, "
                                             f"{wanted} wanted")


@contextlib.contextmanager
def scratch():
    """A folder under the build folder, gone afterwards."""
    folder = BUILD / "real"
    folder.mkdir(parents=True, exist_ok=True)
    path = tempfile.mkdtemp(dir=folder)
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def exit_on_terminate():
    """Lets a termination signal run the handlers that end our servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

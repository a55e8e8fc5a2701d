"""The rows of tools/bench that need a client outside: evhttp under wrk."""
import http.client
import re
import signal
import ssl
import subprocess
import time

import calls
import traffic
from bench_rows import PEERS

# wrk for a count, at the least so many answers.
COUNTED = 400


class HttpServer(traffic.Server):
    control = None  # the connection on which it takes its orders, so that a mark makes none

    def __init__(self, peer, row, counter=None):
        folder = PEERS[peer][0].split("/", 1)[0]
        path = traffic.BUILD / "bin" / folder / "bench_evhttp.exe"
        tls = ["--tls"] if row.protocol() == "https" else []
        super().__init__("select", path, [*PEERS[peer][1], *tls], counter=counter)
        self.marks = 0
        try:
            port = int(self.find(r"^listening on (\d+)$").group(1))
        except BaseException:
            self.close()
            raise
        self.port, self.idle = port, row.idle
        self.url = f"{row.protocol()}://127.0.0.1:{port}"
        self.method_name = self.find(r"^method (\S+)$").group(1)

    def ask(self, path):
        done = traffic.run_client(["curl", "-sS", "--insecure", "--max-time", 30, self.url + path], 40)
        return done.stdout

    def check_answer(self):
        answer = self.ask("/")
        traffic.require(answer == "a" * 1000, f"{self.name}: a wrong answer of {len(answer)} bytes")

    def beside_idle(self):
        return traffic.idle_connections(self.port, self.idle)

    def order(self, path):
        if not self.control and self.url.startswith("https"):
            # Its certificate is of its own making, a moment ago.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.control = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        elif not self.control:
            self.control = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.control.request("GET", path)
        answer = self.control.getresponse()
        answer.read()
        traffic.require(answer.status == 200, f"{path}: status {answer.status}")

    def close(self):
        if self.control:
            self.control.close()
        super().close()

    def mark(self):
        """A mark in the trace: which one it is, and the count of answers so far."""
        self.order("/mark")
        index = self.marks
        self.marks += 1
        found = traffic.wait_until(lambda: re.findall(r"^served (\d+)$", self.output(), re.MULTILINE)[index:],
                                   60, f"{self.name}: /mark")
        return index, int(found[0])


def time_row(row, peer, pace, result):
    with HttpServer(peer, row) as server, server.beside_idle():
        result.method = server.method_name
        server.check_answer()
        # Each run of wrk makes its connections anew, with TLS by a handshake each: that takes time.
        seconds = 3 if row.work == "https" else 1
        for _ in range(pace.wrk_repeat):
            _, rate = traffic.wrk_until(server, server.url + "/", row.connections, seconds, 1)
            result.times.append(1e6 / rate)
        server.check_answer()


def count_row(counter, row, peer, result, body=None):
    """Between two marks while wrk runs and every connection is there. `body` as in traffic.wrk_command."""
    with HttpServer(peer, row, counter=counter) as server, server.beside_idle():
        since = counter.mark()
        server.check_answer()
        server.mark()
        command = traffic.client(traffic.wrk_command(server.url + "/", row.connections, 120, body=body))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            try:
                first, before = wait_for_answers(server, row.connections + COUNTED // 4)
                last, after = wait_for_answers(server, COUNTED)
            finally:
                wrk.send_signal(signal.SIGINT)
            done = traffic.WrkResult(wrk.communicate()[0], body)
        counts = calls.count_between_marks(server.trace(), counter.text(since, counter.mark()))
    traffic.require(done.errors() == 0, f"{row.name} on {peer}: {done.describe_errors()}")
    total = calls.no_counts()
    for stretch in counts[first:last]:
        total.plus(stretch)
    result.method = server.method_name
    # A mark is a request, too, on a connection that is there.
    result.set_counts(total, after - before + last - first)


def wait_for_answers(server, count):
    """Marks until so many more answers have been given; returns the last mark."""
    first, deadline = server.mark(), time.monotonic() + 60
    while True:
        time.sleep(0.2)
        last = server.mark()
        if last[1] - first[1] >= count:
            return last
        traffic.require(time.monotonic() < deadline, f"{server.name}: too few answers in a minute")

"""openssl s_client, driven line by line: what it is told goes into its standard input, and what it
says is waited for in a file."""
import contextlib
import pathlib
import re
import subprocess
import tempfile

import traffic

REQUEST = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Session:
    """One TLS connection. `options` are s_client's."""

    def __init__(self, site, options):
        self.name = f"{site.name}: s_client {' '.join(map(str, options))}"
        self.file = tempfile.NamedTemporaryFile(prefix="libevent-iocp-", suffix=".out")
        self.process = subprocess.Popen(
            traffic.client(["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-state",
                            "-CAfile", site.certificate, "-verify_return_error", *options]),
            stdin=subprocess.PIPE, stdout=self.file, stderr=subprocess.STDOUT)
        # New or Reused, and the protocol.
        found = self.find(r"^(New|Reused), (TLSv[\d.]+), Cipher is \S+")
        self.reused, self.protocol = found.group(1) == "Reused", found.group(2)

    def output(self):
        return pathlib.Path(self.file.name).read_text(errors="replace").replace("\r\n", "\n")

    def count(self, pattern):
        return len(re.findall(pattern, self.output(), re.MULTILINE))

    def find(self, pattern, times=1):
        """Waits until the output has a pattern so many times, and returns the last one."""
        def look():
            found = list(re.finditer(pattern, self.output(), re.MULTILINE))
            traffic.require(len(found) >= times or self.process.poll() is None,
                            f"{self.name} ended: {self.output().strip()[-300:]}")
            return found[times - 1] if len(found) >= times else None
        return traffic.wait_until(look, 20, f"{self.name}: no line like {pattern!r}")

    def say(self, text):
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except OSError:
            raise traffic.Failure(f"{self.name} ended: {self.output().strip()[-300:]}") from None

    def get(self, path, answer):
        """Asks for a path, and waits for an answer like that beyond those that are there."""
        seen = self.count(answer)
        self.say(REQUEST.format(path))
        self.find(answer, seen + 1)

    def command(self, letter):
        """One of s_client's own, which it knows at the beginning of what it reads."""
        self.say(letter + "\n")

    def close(self):
        if self.process.poll() is None:
            try:
                self.command("Q")
                self.process.wait(10)
            except (traffic.Failure, subprocess.TimeoutExpired):
                self.process.kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

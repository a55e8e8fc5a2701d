"""regress/real's traffic_server, plain or over TLS, and how native clients speak to it."""
import re

import traffic

METHODS = {"select": "win32", "iocp": "iocp"}


def make_certificate(folder):
    """A self-signed certificate for localhost and 127.0.0.1, with its key, of openssl's making."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    done = traffic.run_client(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", 2, "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", certificate], 60)
    traffic.require(done.returncode == 0, f"openssl req: {done.stderr.strip()[-300:]}")
    return certificate, key


class Site:
    """A running server. `certificate` is a pair of make_certificate, or None for plain HTTP."""

    def __init__(self, kind, certificate=None, file=None, options=(), limit=600, counter=None):
        arguments = list(options)
        self.certificate = certificate[0] if certificate else None
        self.curl_options, scheme = [], "http"
        if certificate:
            arguments += ["--tls", *map(traffic.windows_path, certificate)]
            self.curl_options, scheme = ["--cacert", self.certificate], "https"
        if file:
            arguments.append(traffic.windows_path(file))
        self.name = f"{scheme} on {kind}"
        self.left = None
        self.server = traffic.Server(kind, "traffic_server", arguments, limit, counter=counter)
        try:
            self.port = int(self.server.find(r"^http (\d+)").group(1))
            upload_port = int(self.server.find(r"^upload (\d+)").group(1))
            method = self.server.method()
            traffic.require(method == METHODS[kind], f"{self.name} runs on {method}")
        except BaseException:
            self.server.close()
            raise
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.upload_url = f"{scheme}://127.0.0.1:{upload_port}"

    def curl(self, arguments, limit=60):
        """Runs curl and returns what it printed on both channels."""
        done = traffic.run_client(["curl", "--silent", "--show-error", "--fail", "--max-time", limit,
                                   *self.curl_options, *arguments], limit + 10)
        traffic.require(done.returncode == 0, f"{self.name}: curl {done.returncode}: "
                                              f"{done.stderr.strip()[-300:]}")
        return done.stdout, done.stderr

    def sha256(self, arguments, limit=120):
        """As traffic.curl_sha256."""
        return traffic.curl_sha256([*self.curl_options, *arguments], limit)

    def status(self):
        """The server's counts by name."""
        text = self.curl([f"{self.url}/status"])[0]
        return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}

    def quit_cleanly(self):
        """Tells the server to end, and requires that it leaves nothing; `left` is its word."""
        self.curl([f"{self.url}/quit"], 30)
        status = self.server.end(60)
        self.left = self.server.output().strip().split("\n")[-1]
        traffic.require(status == 0, f"{self.name} ended with status {status}: {self.left}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

#!/usr/bin/env python3
"""Runs a TLS server built from tls_server.c under Wine and asks it as curl does, certificate and all.

usage: check_tls_server.py <tls_server.exe> <folder>"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/lib"))
import traffic  # noqa: E402

ANSWER = b"Hello over TLS, by iocp\n"
VERSIONS = ("1.2", "1.3")


def make_certificate(folder):
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        capture_output=True, text=True, check=False)
    traffic.require(done.returncode == 0, f"openssl: {done.stderr.strip()}")


def ask(port, folder, version):
    done = traffic.run_client(
        ["curl", "-sS", "--max-time", 20, "--cacert", folder / "certificate.pem", f"--tlsv{version}",
         "--tls-max", version, f"https://127.0.0.1:{port}/"], 30, text=False)
    traffic.require(done.stdout == ANSWER,
                    f"TLS {version}: {done.stdout!r} {done.stderr.decode(errors='replace').strip()}")


def check():
    program, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    make_certificate(folder)
    port = traffic.free_port()
    arguments = [port, *(traffic.windows_path(folder / name) for name in ("certificate.pem", "key.pem"))]
    with traffic.Server("iocp", program, arguments, extra={"EVENT_IOCP": "0"}) as server:
        traffic.wait_until(lambda: traffic.accepts_connections(port) or server.process.poll() is not None, 60,
                           server.name)
        for version in VERSIONS:
            ask(port, folder, version)
    print(f"tls_server: curl over TLS {' and '.join(VERSIONS)}: {ANSWER.decode().strip()}")


if __name__ == "__main__":
    traffic.exit_on_terminate()
    traffic.main("check_tls_server", check)

"""Debian's nginx on loopback with a configuration of our own, and a broken server behind it."""
import socket
import subprocess
import threading

import traffic

NGINX = "/usr/sbin/nginx"  # not everybody's PATH has that
# Every answer tells the serial number of its connection.
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000;
    ssi_types *;
    add_header X-Connection $connection always;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        listen 127.0.0.2:{tls_port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
        # Server-side includes leave the length open, so that the answer goes out in chunks,
        location /chunked/ {{ alias {root}/; ssi on; }}
        # or until the connection ends.
        location /until-close/ {{ alias {root}/; ssi on; chunked_transfer_encoding off; }}
        location /slow/ {{ alias {root}/; limit_rate 2m; }}
        location /ten/ {{ alias {root}/; keepalive_requests 10; }}
        location /broken {{ return 500; }}
        location /cut/ {{
            proxy_pass http://127.0.0.1:{broken_port};
            proxy_http_version 1.1;
            proxy_buffering off;
        }}
    }}
}}
"""
# What the broken server answers before it closes; a stalled one it keeps open.
HALF = b"x" * 50_000
HALVES = {
    "/cut/length": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HALF,
    "/cut/stalled": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HALF,
    "/cut/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + HALF,
    "/cut/last-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + HALF + b"\r\n",
}


class BrokenServer:
    """Answers with halves."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stalled = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            request = b""
            while b"\r\n\r\n" not in request and (block := peer.recv(4096)):
                request += block
            path = request.split()[1].decode() if request else ""
            peer.sendall(HALVES.get(path, b""))
            if path == "/cut/stalled":
                self.stalled.append(peer)
            else:
                peer.close()

    def close(self):
        # Only this ends a waiting accept.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for peer in self.stalled:
            peer.close()


class Nginx:
    """From start to end; serves the files of `root`, as the configuration says."""

    def __init__(self, folder, root, certificate):
        self.port, self.tls_port = traffic.free_port(), traffic.free_port()
        self.broken = BrokenServer()
        file = folder / "nginx.conf"
        file.write_text(CONFIGURATION.format(
            folder=folder, root=root, port=self.port, tls_port=self.tls_port,
            certificate=certificate[0], key=certificate[1], broken_port=self.broken.port))
        self.log = folder / "error.log"
        self.process = subprocess.Popen(
            traffic.client([NGINX, "-p", folder, "-e", self.log, "-c", file]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for port in (self.port, self.tls_port):
                traffic.wait_until(lambda port=port: self.answers(port), 20, "nginx")
        except BaseException:
            self.close()
            raise

    def answers(self, port):
        traffic.require(self.process.poll() is None, f"nginx ended: {self.messages()}")
        return traffic.accepts_connections(port)

    def messages(self):
        return self.log.read_text()[-500:] if self.log.exists() else "no message"

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.broken.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

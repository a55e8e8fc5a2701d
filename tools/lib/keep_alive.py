"""Keep-alive connections to an HTTP server, each of which must have every answer. wrk says how many answers it had, and not
whether one of its connections was left without."""
import contextlib
import http.client
import ssl
import urllib.parse

import traffic

ROUNDS = 5
MOST_OF_TLS = 200  # handshakes under Wine are slow
TAKEN = 50  # connects until the server is known to have taken them: it does not queue many more
PATIENCE = 60  # seconds without a byte


def connect(url, context):
    if context:
        made = http.client.HTTPSConnection(url.hostname, url.port, timeout=PATIENCE, context=context)
    else:
        made = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE)
    made.connect()
    made.auto_open = 0  # one that the server closes stays closed
    return made


def ask_each(name, url, connections, body, certificate=None):
    """All ask at once, and again when all have been answered; how many answers they had. `body` is what each has to say,
    `certificate` the server's, over TLS."""
    parts, number = urllib.parse.urlsplit(url), 0
    context = ssl.create_default_context(cafile=certificate) if certificate else None
    count = min(connections, MOST_OF_TLS) if certificate else connections
    traffic.allow_descriptors(count + 256)

    def has_answer(one):
        answer = one.getresponse()
        got = answer.read()
        traffic.require(answer.status == 200 and got == body,
                        f"{name}: connection {number} of {count}: status {answer.status}, {len(got)} bytes: {got[:40]}")

    with contextlib.ExitStack() as stack:
        try:
            kept, answers = [], 0
            for number in range(count):
                kept.append(stack.enter_context(contextlib.closing(connect(parts, context))))
                if number % TAKEN == TAKEN - 1:
                    kept[-1].request("GET", parts.path or "/")
                    has_answer(kept[-1])
                    answers += 1
            for _ in range(ROUNDS):
                for one in kept:
                    one.request("GET", parts.path or "/")
                for number, one in enumerate(kept):
                    has_answer(one)
                    answers += 1
        except (OSError, http.client.HTTPException) as error:
            raise traffic.Failure(f"{name}: connection {number} of {count}: {error!r}") from None
    print(f"{name}: {count} connections, {answers} answers, none was left without", flush=True)
    return answers

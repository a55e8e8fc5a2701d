// A server for real clients that ends cleanly and says what it has left behind.
//
// usage: traffic_server [--threads] [--log] [--tls certificate key] [file]
//   --threads  with libevent's locks
//   --log      a line for each short answer
//   --tls      everything over TLS
// Answers what routes.h lists, and uploads on a second port (upload.h). Prints "http <port>" and "upload <port>"; at
// the end "clean" or "leak" with blocks, bytes and handles that are left. The exit status is 0 only if there are none.
#include "accounting.h"
#include "routes.h"
#include "tls.h"
#include "upload.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <string.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>

namespace {

struct options {
    bool threads;
    bool log;
    const char *certificate;
    const char *key;
    const char *file;
};

options parse(int argc, char **argv)
{
    options result = {};
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--threads") == 0) {
            result.threads = true;
        } else if (strcmp(argv[i], "--log") == 0) {
            result.log = true;
        } else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            result.certificate = argv[++i];
            result.key = argv[++i];
        } else {
            result.file = argv[i];
        }
    }
    return result;
}

bufferevent *secured(event_base *base, void *context)
{
    return tls::accepting(base, -1, static_cast<ssl_ctx_st *>(context));
}

// Returns the handles that were open while the server ran.
unsigned long run(const options &wanted, ssl_ctx_st *context, bool serve)
{
    event_base *base = event_base_new();
    evhttp *http = evhttp_new(base);
    if (context)
        evhttp_set_bevcb(http, secured, context);
    routes::add(http, base, wanted.file, context, wanted.log);
    evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    int upload_port = upload::listen(base, context);
    if (serve && bound && upload_port) {
        sockaddr_in address = {};
        int size = sizeof(address);
        getsockname(evhttp_bound_socket_get_fd(bound), reinterpret_cast<sockaddr *>(&address), &size);
        printf("upload %d\nhttp %d\n", upload_port, ntohs(address.sin_port));
        event_base_dispatch(base);
    } else {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    unsigned long handles = accounting::open_handles();
    upload::close_all();
    evhttp_free(http);
    event_base_free(base);
    return handles;
}

} // namespace

int main(int argc, char **argv)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    accounting::start();
    tls::start();
    options wanted = parse(argc, argv);
    if (wanted.threads)
        evthread_use_windows_threads();
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    ssl_ctx_st *context = nullptr;
    if (wanted.certificate && !(context = tls::server_context(wanted.certificate, wanted.key)))
        return 2;

    // What Windows opens once and keeps is open after the first run.
    unsigned long handles_in_use = run(wanted, context, false);
    unsigned long handles = accounting::open_handles();
    run(wanted, context, true);
    tls::free_context(context);
    tls::finish();
    libevent_global_shutdown();
    WSACleanup();
    // On Windows each evbuffer_add_file of 2.1.12 maps the file twice and forgets one handle: not what is checked here.
    return accounting::report(handles, handles_in_use, routes::files_sent());
}

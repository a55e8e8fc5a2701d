// A server for real clients that ends cleanly and says what it has left behind.
//
// usage: traffic_server [--threads] [file]
//   GET /       a short answer
//   GET /file   the file
//   GET /large  8 MiB from memory
//   GET /quit   ends the server, whatever else is going on
// and uploads on a second port (upload.h). Prints "http <port>" and "upload <port>"; at the end "clean" or "leak" with
// blocks, bytes and handles that are left. The exit status is 0 only if there are none.
#include "accounting.h"
#include "upload.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/thread.h>

namespace {

constexpr size_t large_size = 8 * 1024 * 1024;
char large[large_size];

const char *file_name;
// On Windows each evbuffer_add_file of 2.1.12 maps the file twice and forgets one handle: not what is checked here.
long files_sent;

void answer(evhttp_request *request, evbuffer *body)
{
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

void on_root(evhttp_request *request, void *)
{
    evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "Hello\n");
    answer(request, body);
}

void on_large(evhttp_request *request, void *)
{
    evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, large, large_size, nullptr, nullptr);
    answer(request, body);
}

void on_file(evhttp_request *request, void *)
{
    struct _stat64 status;
    int fd = file_name ? _open(file_name, _O_RDONLY | _O_BINARY) : -1;
    if (fd < 0 || _fstat64(fd, &status)) {
        evhttp_send_error(request, HTTP_NOTFOUND, nullptr);
        return;
    }
    evbuffer *body = evbuffer_new();
    evbuffer_add_file(body, fd, 0, status.st_size);
    files_sent += 1;
    answer(request, body);
}

void on_quit(evhttp_request *request, void *argument)
{
    // The answer gets a moment to leave.
    const timeval soon = {0, 100 * 1000};
    event_base_loopexit(static_cast<event_base *>(argument), &soon);
    on_root(request, nullptr);
}

// Returns the handles that were open while the server ran.
unsigned long run(bool serve)
{
    event_base *base = event_base_new();
    evhttp *http = evhttp_new(base);
    evhttp_set_cb(http, "/", on_root, nullptr);
    evhttp_set_cb(http, "/large", on_large, nullptr);
    evhttp_set_cb(http, "/file", on_file, nullptr);
    evhttp_set_cb(http, "/quit", on_quit, base);
    evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    int upload_port = upload::listen(base);
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
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--threads") == 0)
            evthread_use_windows_threads();
        else
            file_name = argv[i];
    }
    for (size_t i = 0; i < large_size; ++i)
        large[i] = static_cast<char>(i % 251);
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);

    // What Windows opens once and keeps is open after the first run.
    unsigned long handles_in_use = run(false);
    unsigned long handles = accounting::open_handles();
    run(true);
    unsigned long handles_left = accounting::open_handles();
    libevent_global_shutdown();
    WSACleanup();

    long more_handles = static_cast<long>(handles_left) - static_cast<long>(handles) - files_sent;
    // A count that does not see the sockets of a server would prove nothing.
    bool counted = handles_in_use > handles;
    bool clean = accounting::live_blocks() == 0 && counted && more_handles <= 0;
    printf("%s: %zu blocks, %zu bytes, %ld handles more than the %lu before%s\n", clean ? "clean" : "leak",
           accounting::live_blocks(), accounting::live_bytes(), more_handles, handles,
           counted ? "" : " (handles cannot be counted here)");
    return clean ? 0 : 1;
}

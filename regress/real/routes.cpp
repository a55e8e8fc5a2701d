#include "routes.h"

#include "accounting.h"
#include "tls.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>

namespace {

constexpr size_t large_size = 8 * 1024 * 1024;
char large[large_size];
constexpr size_t chunk_sizes[] = {65536, 1, 4096, 100000};
constexpr size_t chunk_size_count = sizeof(chunk_sizes) / sizeof(chunk_sizes[0]);

const char *file_name;
long sent;
ssl_ctx_st *context;
bool logging;

// An answer in chunks that is under way.
struct chunked_answer {
    evhttp_request *request;
    FILE *file;
    size_t chunks;
};

void answer(evhttp_request *request, evbuffer *body)
{
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

void on_root(evhttp_request *request, void *)
{
    if (logging)
        printf("Got a GET request for <%s>\n", evhttp_request_get_uri(request));
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
    sent += 1;
    answer(request, body);
}

void finish(chunked_answer *self)
{
    // A connection that is gone has been taken away from its request, which is ours to free: this call does.
    if (evhttp_connection *connection = evhttp_request_get_connection(self->request))
        evhttp_connection_set_closecb(connection, nullptr, nullptr);
    evhttp_send_reply_end(self->request);
    fclose(self->file);
    delete self;
}

void on_connection_gone(evhttp_connection *, void *argument)
{
    finish(static_cast<chunked_answer *>(argument));
}

void send_chunk(evhttp_connection *, void *argument)
{
    auto *self = static_cast<chunked_answer *>(argument);
    static char bytes[chunk_sizes[chunk_size_count - 1]];
    size_t size = fread(bytes, 1, chunk_sizes[self->chunks % chunk_size_count], self->file);
    if (size == 0) {
        finish(self);
        return;
    }
    self->chunks += 1;
    evbuffer *chunk = evbuffer_new();
    evbuffer_add(chunk, bytes, size);
    evhttp_send_reply_chunk_with_cb(self->request, chunk, send_chunk, self);
    evbuffer_free(chunk);
}

void on_chunked(evhttp_request *request, void *)
{
    FILE *file = file_name ? fopen(file_name, "rb") : nullptr;
    if (!file) {
        evhttp_send_error(request, HTTP_NOTFOUND, nullptr);
        return;
    }
    auto *self = new chunked_answer{request, file, 0};
    evhttp_connection *connection = evhttp_request_get_connection(request);
    evhttp_connection_set_closecb(connection, on_connection_gone, self);
    evhttp_send_reply_start(request, HTTP_OK, "OK");
    send_chunk(connection, self);
}

void on_sum(evhttp_request *request, void *)
{
    evbuffer *input = evhttp_request_get_input_buffer(request);
    unsigned long long size = evbuffer_get_length(input);
    uLong sum = crc32(0, nullptr, 0);
    while (evbuffer_get_length(input)) {
        evbuffer_iovec piece;
        evbuffer_peek(input, 1, nullptr, &piece, 1);
        sum = crc32(sum, static_cast<Bytef *>(piece.iov_base), static_cast<uInt>(piece.iov_len));
        evbuffer_drain(input, piece.iov_len);
    }
    evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "%08lx %llu\n", sum, size);
    answer(request, body);
}

void on_status(evhttp_request *request, void *)
{
    evbuffer *body = evbuffer_new();
    unsigned long long blocks = accounting::live_blocks(), bytes = accounting::live_bytes();
    unsigned long long shared_with_nobody = accounting::private_bytes();
    evbuffer_add_printf(body, "blocks %llu\nbytes %llu\n", blocks, bytes);
    evbuffer_add_printf(body, "handles %lu\nprivate %llu\n", accounting::open_handles(), shared_with_nobody);
    if (context) {
        tls::counts counts = tls::server_counts(context);
        evbuffer_add_printf(body, "handshakes %ld\nresumed %ld\nrenegotiated %ld\n", counts.handshakes, counts.resumed,
                            counts.renegotiated);
    }
    answer(request, body);
}

void on_renegotiate(evhttp_request *request, void *)
{
    evhttp_connection *connection = evhttp_request_get_connection(request);
    if (!context || bufferevent_ssl_renegotiate(evhttp_connection_get_bufferevent(connection)) < 0) {
        evhttp_send_error(request, HTTP_NOTFOUND, nullptr);
        return;
    }
    on_root(request, nullptr);
}

void on_forget(evhttp_request *request, void *)
{
    if (context)
        tls::forget_sessions(context);
    on_root(request, nullptr);
}

void on_quit(evhttp_request *request, void *argument)
{
    // The answer gets a moment to leave.
    const timeval soon = {0, 100 * 1000};
    event_base_loopexit(static_cast<event_base *>(argument), &soon);
    on_root(request, nullptr);
}

} // namespace

namespace routes {

void add(evhttp *http, event_base *base, const char *file, ssl_ctx_st *secure, bool log)
{
    for (size_t i = 0; i < large_size; ++i)
        large[i] = static_cast<char>(i % 251);
    file_name = file;
    context = secure;
    logging = log;
    evhttp_set_cb(http, "/", on_root, nullptr);
    evhttp_set_cb(http, "/file", on_file, nullptr);
    evhttp_set_cb(http, "/chunked", on_chunked, nullptr);
    evhttp_set_cb(http, "/large", on_large, nullptr);
    evhttp_set_cb(http, "/sum", on_sum, nullptr);
    evhttp_set_cb(http, "/status", on_status, nullptr);
    evhttp_set_cb(http, "/renegotiate", on_renegotiate, nullptr);
    evhttp_set_cb(http, "/forget", on_forget, nullptr);
    evhttp_set_cb(http, "/quit", on_quit, base);
}

long files_sent()
{
    return sent;
}

} // namespace routes

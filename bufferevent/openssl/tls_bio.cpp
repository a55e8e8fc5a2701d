#include "bufferevent/openssl/tls_bio.h"
#include "bufferevent/stream_queue.h"
#include "bufferevent/stream_receive.h"

#include "compat/openssl_slot.h"

#include <openssl/ssl.h>

#include <atomic>

namespace iocp {

namespace {

constexpr char method_name[] = "libevent-iocp stream";

struct tls_bio {
    evutil_socket_t fd;
    struct event_base *base; // of the stream that is seen, which goes with the base's lock held
    stream_sight seen;
    bool at_end;
};

tls_bio *tls_bio_state(BIO *bio)
{
    return static_cast<tls_bio *>(BIO_get_data(bio));
}

// Its stream, with the base's lock held for the scope: others may let go of it.
class tls_bio_use {
public:
    explicit tls_bio_use(const tls_bio *self) : tls_bio_use(self, self->seen.used != nullptr ? self->base : nullptr) {}
    tls_bio_use(const tls_bio_use &) = delete;
    tls_bio_use &operator=(const tls_bio_use &) = delete;

private:
    tls_bio_use(const tls_bio *self, struct event_base *base)
        : held(base), any(base != nullptr ? self->seen.used.load() : nullptr),
          own(any != nullptr && any->as_source.in_use ? any : nullptr)
    {
    }

    base_locked held;

public:
    stream *const any; // NULL: there is none
    stream *const own; // NULL: there is none, or events on the descriptor go by a poll
};

// On a socket without a stream: as the kernel has it.
int tls_bio_settle(int error, DWORD bytes)
{
    if (error == 0)
        return static_cast<int>(bytes);
    WSASetLastError(error);
    return -1;
}

int tls_bio_receive(tls_bio *self, char *into, int at_most)
{
    {
        tls_bio_use held(self);
        if (held.own != nullptr)
            return stream_take(held.own, into, at_most);
    }
    if (self->seen.is_closed_under)
        return tls_bio_settle(WSAENOTSOCK, 0);
    if (self->seen.is_closed) // the loop waited for the bufferevent's lock, and another thread has freed that
        return tls_bio_settle(WSAEWOULDBLOCK, 0);
    WSABUF buffer = {static_cast<ULONG>(at_most), into};
    DWORD bytes = 0;
    int error = sys::receive_now(static_cast<SOCKET>(self->fd), &buffer, 1, &bytes);
    return tls_bio_settle(error, bytes);
}

// What an SSL writes once it has said so is its close_notify, and who has it said may free all in the same callback: it is
// not tried again. Which SSL that is, the bufferevent knows that holds the stream: a BIO may outlive its SSL, or go to
// another.
bool tls_bio_writes_its_last(const BIO *bio, const stream *used)
{
    auto *holder = static_cast<struct bufferevent *>(const_cast<void *>(used->holder));
    const SSL *user = bufferevent_openssl_get_ssl(holder);
    return user != nullptr && SSL_get_wbio(user) == bio && (SSL_get_shutdown(user) & SSL_SENT_SHUTDOWN) != 0;
}

int tls_bio_put(const BIO *bio, stream *into, const char *bytes, int length)
{
    int put = stream_put(into, bytes, length);
    if (put < 0 && WSAGetLastError() == WSAEWOULDBLOCK && tls_bio_writes_its_last(bio, into))
        put = stream_put(into, bytes, length, true);
    return put;
}

int tls_bio_send(BIO *bio, const char *bytes, int length)
{
    const tls_bio *self = tls_bio_state(bio);
    {
        tls_bio_use held(self);
        if (held.own != nullptr)
            return tls_bio_put(bio, held.own, bytes, length);
    }
    if (self->seen.is_closed_under)
        return tls_bio_settle(WSAENOTSOCK, 0);
    if (self->seen.leaves_rest)
        return tls_bio_settle(WSAEWOULDBLOCK, 0);
    WSABUF buffer = {static_cast<ULONG>(length), const_cast<char *>(bytes)};
    DWORD sent = 0;
    int error = sys::send_now(static_cast<SOCKET>(self->fd), &buffer, 1, &sent);
    return tls_bio_settle(error, sent);
}

int tls_bio_read(BIO *bio, char *into, int at_most)
{
    tls_bio *self = tls_bio_state(bio);
    BIO_clear_retry_flags(bio);
    if (into == nullptr || at_most <= 0)
        return 0;
    int got = tls_bio_receive(self, into, at_most);
    self->at_end = got == 0;
    if (got < 0 && WSAGetLastError() == WSAEWOULDBLOCK)
        BIO_set_retry_read(bio);
    return got;
}

int tls_bio_write(BIO *bio, const char *bytes, int length)
{
    BIO_clear_retry_flags(bio);
    if (bytes == nullptr || length <= 0)
        return 0;
    int sent = tls_bio_send(bio, bytes, length);
    if (sent < 0 && WSAGetLastError() == WSAEWOULDBLOCK)
        BIO_set_retry_write(bio);
    return sent;
}

int tls_bio_puts(BIO *bio, const char *text)
{
    return tls_bio_write(bio, text, static_cast<int>(strlen(text)));
}

long tls_bio_bytes_waiting(const tls_bio *self)
{
    tls_bio_use held(self);
    return held.own != nullptr ? static_cast<long>(stream_receive_held(held.own)) : 0;
}

long tls_bio_flush(const tls_bio *self)
{
    tls_bio_use held(self);
    return held.own == nullptr || stream_flush(held.own) == 0 ? 1 : -1;
}

long tls_bio_get_descriptor(const tls_bio *self, void *into)
{
    if (into != nullptr)
        *static_cast<int *>(into) = static_cast<int>(self->fd);
    return static_cast<long>(self->fd);
}

long tls_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    tls_bio *self = tls_bio_state(bio);
    if (self == nullptr)
        return 0; // a copy, which we do not support
    switch (command) {
    case BIO_C_GET_FD:
        return tls_bio_get_descriptor(self, pointer);
    case BIO_C_SET_FD:
        self->fd = *static_cast<int *>(pointer);
        stream_sight_forget_end(&self->seen);
        return 1;
    case BIO_CTRL_GET_CLOSE:
        return BIO_get_shutdown(bio);
    case BIO_CTRL_SET_CLOSE:
        BIO_set_shutdown(bio, static_cast<int>(number));
        return 1;
    case BIO_CTRL_EOF:
        return self->at_end ? 1 : 0;
    case BIO_CTRL_PENDING:
        return tls_bio_bytes_waiting(self);
    case BIO_CTRL_FLUSH:
        return tls_bio_flush(self);
    default:
        return 0;
    }
}

void tls_bio_give_method_back();

int tls_bio_destroy(BIO *bio)
{
    tls_bio *self = bio != nullptr ? tls_bio_state(bio) : nullptr;
    if (self == nullptr)
        return 0;
    {
        tls_bio_use held(self);
        if (held.any != nullptr) {
            stream_unseen(held.any, false);
            stream_step_aside(held.any);
        }
    }
    free_if_any(self);
    BIO_set_data(bio, nullptr);
    tls_bio_give_method_back(); // OpenSSL does not look at it after this call
    return 1;
}

// OpenSSL's table of our functions. It exists as long as there are BIOs with it, so that a program which frees all it
// has finds nothing left.
struct shared_method {
    SRWLOCK lock;
    BIO_METHOD *table;
    unsigned users;
    int type; // 0: not asked for yet; OpenSSL has few of them
};

shared_method shared = {SRWLOCK_INIT, nullptr, 0, 0};

BIO_METHOD *tls_bio_make_method()
{
    if (shared.type == 0)
        shared.type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR;
    BIO_METHOD *made = BIO_meth_new(shared.type, method_name);
    if (made == nullptr)
        return nullptr;
    BIO_meth_set_read(made, tls_bio_read);
    BIO_meth_set_write(made, tls_bio_write);
    BIO_meth_set_puts(made, tls_bio_puts);
    BIO_meth_set_ctrl(made, tls_bio_ctrl);
    BIO_meth_set_destroy(made, tls_bio_destroy);
    return made;
}

const BIO_METHOD *tls_bio_take_method()
{
    AcquireSRWLockExclusive(&shared.lock);
    if (shared.table == nullptr)
        shared.table = tls_bio_make_method();
    const BIO_METHOD *taken = shared.table;
    if (taken != nullptr)
        ++shared.users;
    ReleaseSRWLockExclusive(&shared.lock);
    return taken;
}

void tls_bio_give_method_back()
{
    AcquireSRWLockExclusive(&shared.lock);
    if (--shared.users == 0) {
        BIO_meth_free(shared.table);
        shared.table = nullptr;
    }
    ReleaseSRWLockExclusive(&shared.lock);
}

} // namespace

BIO *tls_bio_new(evutil_socket_t fd)
{
    auto *self = static_cast<tls_bio *>(mm_calloc(1, sizeof(tls_bio)));
    const BIO_METHOD *method = self != nullptr ? tls_bio_take_method() : nullptr;
    BIO *bio = method != nullptr ? BIO_new(method) : nullptr;
    if (bio == nullptr) {
        if (method != nullptr)
            tls_bio_give_method_back();
        free_if_any(self);
        return nullptr;
    }
    self->fd = fd;
    BIO_set_data(bio, self);
    BIO_set_shutdown(bio, 0);
    BIO_set_init(bio, 1);
    return bio;
}

bool is_tls_bio(BIO *bio)
{
    return bio != nullptr && strcmp(BIO_method_name(bio), method_name) == 0;
}

bool tls_bio_set_stream(BIO *bio, stream *used)
{
    tls_bio *self = tls_bio_state(bio);
    if (self->seen.used != nullptr)
        stream_unseen(self->seen.used, false);
    self->base = stream_owner(used)->base;
    return stream_set_seen_by(used, &self->seen);
}

} // namespace iocp

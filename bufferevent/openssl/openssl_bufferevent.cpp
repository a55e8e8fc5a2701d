// libevent's TLS socket bufferevent on a port: where its functions meet the stream (see compat/openssl_slot.h). As with
// socket_bufferevent.cpp, libevent's own code runs on top, and only how the bytes of the connection move is ours.
//
// A program may have given its SSL a BIO of its own. That is left in place, and the socket is watched for readiness.
#include "backend/socket_interest.h"
#include "bufferevent/bufferevent_stream.h"
#include "bufferevent/moving.h"
#include "bufferevent/openssl/tls_bio.h"
#include "bufferevent/stream_queue.h"

#include "compat/openssl_slot.h"

#include <openssl/ssl.h>

using namespace iocp;

namespace {

// The BIO for both directions, if it is ours to choose: libevent's socket BIO, unused yet (what an SSL has moved is
// counted by its BIO, and charged to rate limits), or one that we have put there.
BIO *openssl_bufferevent_own_bio(SSL *ssl)
{
    BIO *bio = SSL_get_rbio(ssl);
    if (bio == nullptr || bio != SSL_get_wbio(ssl))
        return nullptr;
    if (is_tls_bio(bio))
        return bio;
    bool unused = BIO_number_read(bio) == 0 && BIO_number_written(bio) == 0;
    return BIO_method_type(bio) == BIO_TYPE_SOCKET && unused ? bio : nullptr;
}

// False for want of memory.
bool openssl_bufferevent_put_own_bio(SSL *ssl, evutil_socket_t fd)
{
    if (is_tls_bio(openssl_bufferevent_own_bio(ssl)))
        return true;
    BIO *chosen = tls_bio_new(fd);
    if (chosen != nullptr)
        SSL_set_bio(ssl, chosen, chosen);
    return chosen != nullptr;
}

void openssl_bufferevent_attach(struct bufferevent *bev, evutil_socket_t fd, bool to_connect)
{
    backend *owner = backend_for(bev);
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    received_bytes *moved = fd >= 0 ? moving_take(owner, fd) : nullptr;
    if (owner == nullptr || fd < 0) {
        moving_lose(fd, moved);
        return;
    }
    bool has_own_bio = openssl_bufferevent_own_bio(ssl) != nullptr; // else its SSL reads past us
    bool has_stream;
    {
        stream_use held(bev);
        stream *own = has_own_bio ? held.own : nullptr;
        stream_displace(owner, fd, bev);
        // What was received ahead is held by a stream, whoever owns it.
        bool wants_stream = owns_descriptor(bev) || moved != nullptr || socket_has_early(owner, fd);
        if (own == nullptr && has_own_bio && wants_stream)
            own = stream_attach(owner, fd, bev, to_connect);
        if (own != nullptr && !owns_descriptor(bev)) { // its SSL may go on without it, and is to find all in the kernel
            own->never_ahead = true;
            own->looks_first = false;
        }
        moving_give(owner, fd, own, moved);
        if (own == nullptr)
            stream_early_is_lost(owner, fd);
        else // libevent has added its events already
            interest_take_over(&own->as_source);
        has_stream = own != nullptr;
    }
    if (!has_stream) {
        moving_lose_kept(owner, fd);
        return;
    }
    bool has_bio = openssl_bufferevent_put_own_bio(ssl, fd); // with no lock held
    stream_use held(bev);
    if (held.own == nullptr) // let go of meanwhile: the descriptor is closed, or another's
        return;
    if (has_bio && tls_bio_set_stream(openssl_bufferevent_own_bio(ssl), held.own))
        return;
    stream_release(held.own, false);
    stream_early_is_lost(owner, fd);
}

// The socket lives on. Bytes that were received for it stay with it, and not with the BIO, which libevent puts another one
// in the place of.
void openssl_bufferevent_let_go(struct bufferevent *bev)
{
    stream_detach(bev, false);
}

// It goes, as a rule with its descriptor.
void openssl_bufferevent_let_go_for_good(struct bufferevent *bev)
{
    stream_detach(bev, closes_descriptor(bev));
}

int openssl_bufferevent_enable(struct bufferevent *bev, short events)
{
    return bufferevent_ops_openssl.enable(bev, events);
}

int openssl_bufferevent_disable(struct bufferevent *bev, short events)
{
    return bufferevent_ops_openssl.disable(bev, events);
}

// Its last reference goes: the program may use the socket at once, or free the base before libevent destroys this.
void openssl_bufferevent_unlink(struct bufferevent *bev)
{
    openssl_bufferevent_let_go_for_good(bev);
    bufferevent_ops_openssl.unlink(bev);
}

// bufferevent_free: whoever has another reference has one that goes on (see socket_bufferevent_freed).
void openssl_bufferevent_freed(struct bufferevent *bev)
{
    bool has_others = BEV_UPCAST(bev)->refcnt > 1;
    if (has_others && (is_closed_by_maker(bev) || !closes_descriptor(bev)))
        openssl_bufferevent_let_go_for_good(bev);
}

void openssl_bufferevent_destruct(struct bufferevent *bev)
{
    openssl_bufferevent_let_go_for_good(bev);
    bufferevent_ops_openssl.destruct(bev);
}

int openssl_bufferevent_adjust_timeouts(struct bufferevent *bev)
{
    return bufferevent_ops_openssl.adj_timeouts(bev);
}

int openssl_bufferevent_flush(struct bufferevent *bev, short events, enum bufferevent_flush_mode mode)
{
    return bufferevent_ops_openssl.flush(bev, events, mode);
}

int openssl_bufferevent_set_descriptor(struct bufferevent *bev, union bufferevent_ctrl_data *data)
{
    bool to_connect = take_option(bev, option_connects_next);
    openssl_bufferevent_let_go(bev);
    int result = bufferevent_ops_openssl.ctrl(bev, BEV_CTRL_SET_FD, data);
    if (result == 0)
        openssl_bufferevent_attach(bev, data->fd, to_connect);
    return result;
}

int openssl_bufferevent_control(struct bufferevent *bev, enum bufferevent_ctrl_op op, union bufferevent_ctrl_data *data)
{
    if (op == BEV_CTRL_SET_FD)
        return connect_is_refused(bev) ? 0 : openssl_bufferevent_set_descriptor(bev, data);
    if (op == BEV_CTRL_CANCEL_ALL)
        openssl_bufferevent_freed(bev);
    return bufferevent_ops_openssl.ctrl(bev, op, data);
}

} // namespace

extern "C" {

const struct bufferevent_ops iocp_bufferevent_ops_openssl = {
    "ssl",
    evutil_offsetof(struct bufferevent_private, bev),
    openssl_bufferevent_enable,
    openssl_bufferevent_disable,
    openssl_bufferevent_unlink,
    openssl_bufferevent_destruct,
    openssl_bufferevent_adjust_timeouts,
    openssl_bufferevent_flush,
    openssl_bufferevent_control,
};

struct bufferevent *bufferevent_openssl_socket_new(struct event_base *base, evutil_socket_t fd, SSL *ssl,
                                                   enum bufferevent_ssl_state state, int options)
{
    struct bufferevent *bev = iocp_stock_bufferevent_openssl_socket_new(base, fd, ssl, state, options);
    if (bev == nullptr || backend_for(bev) == nullptr)
        return bev;
    // What libevent allocates begins with what every bufferevent begins with.
    EVUTIL_ASSERT(bufferevent_ops_openssl.mem_offset == iocp_bufferevent_ops_openssl.mem_offset);
    // The base may run in another thread, which is free to begin the handshake; then the BIO is in use, and stays.
    BEV_LOCK(bev);
    bufferevent_connect_know_tls(&iocp_bufferevent_ops_openssl);
    bev->be_ops = &iocp_bufferevent_ops_openssl;
    openssl_bufferevent_attach(bev, event_get_fd(&bev->ev_read), false);
    BEV_UNLOCK(bev);
    return bev;
}

// The last of the output is about to be drained: what OpenSSL has made of it goes first, so that a program which finds
// the output empty may shut the connection down.
int iocp_tls_drain(struct evbuffer *output, size_t length)
{
    const struct bufferevent *bev = output->parent;
    bool ours = bev != nullptr && bev->be_ops == &iocp_bufferevent_ops_openssl;
    if (ours && length >= evbuffer_get_length(output)) {
        stream_use held(bev);
        if (held.own != nullptr && stream_flush(held.own) != 0)
            return -1; // it stays, and the SSL_write that libevent tries next is told
    }
    return evbuffer_drain(output, length);
}
}

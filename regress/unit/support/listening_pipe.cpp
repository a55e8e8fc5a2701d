#include "support/check.h"

#include "support/listening_pipe.h"

namespace iocp {
namespace listening_pipe {

namespace {

void on_error(struct evpipelistener *, void *)
{
    the.errors.push_back(EVUTIL_SOCKET_ERROR());
}

} // namespace

world the;

void on_client(struct evpipelistener *, void *handle, void *)
{
    assert_true(fake::is_served(handle));
    the.told.push_back(handle);
    if (the.when_told)
        the.when_told();
}

void listen(int instances)
{
    the.listener = evpipelistener_iocp_new(the.base, name, instances, nullptr, on_client, nullptr);
    if (the.listener != nullptr)
        evpipelistener_iocp_set_error_cb(the.listener, on_error);
}

void begin(const fake::chances &odds, uint64_t seed)
{
    fake::boot(seed, odds);
    the = world();
    the.base = make_base(on_iocp);
}

void free_listener()
{
    if (the.listener != nullptr)
        evpipelistener_iocp_free(the.listener);
    the.listener = nullptr;
}

void close_told()
{
    for (HANDLE handle : the.told)
        sys::close_handle(handle);
    the.told.clear();
}

struct bufferevent *start_connect(const struct timeval *patience, int options)
{
    struct bufferevent *bev = bufferevent_iocp_handle_new(the.base, INVALID_HANDLE_VALUE, options);
    if (bev == nullptr || bufferevent_iocp_pipe_connect(bev, name, patience) == 0)
        return bev;
    assert_int_equal(EVUTIL_SOCKET_ERROR(), WSAENOBUFS);
    bufferevent_free(bev);
    return nullptr;
}

void end()
{
    free_listener();
    close_told();
    event_base_free(the.base);
    assert_null(fake::complaint_after_free());
    assert_int_equal(fake::security_copies(), 0);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(10 * 1000);
        turn(the.base);
    }
}

void refused(struct event_base *base, const char *called, int instances, evpipelistener_cb cb, int error)
{
    WSASetLastError(0);
    assert_null(evpipelistener_iocp_new(base, called, instances, nullptr, cb, nullptr));
    assert_int_equal(EVUTIL_SOCKET_ERROR(), error);
}

} // namespace listening_pipe
} // namespace iocp

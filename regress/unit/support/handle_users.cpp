#include "support/handle_users.h"

namespace iocp {
namespace handle_users {

struct event_base *base;

namespace {

constexpr int max_turns = 200;

void on_read(struct bufferevent *bev, void *argument)
{
    char bytes[4096];
    while (size_t got = bufferevent_read(bev, bytes, sizeof(bytes)))
        static_cast<user *>(argument)->heard.append(bytes, got);
}

void on_event(struct bufferevent *, short what, void *argument)
{
    auto *self = static_cast<user *>(argument);
    self->error = EVUTIL_SOCKET_ERROR();
    self->what = what;
}

} // namespace

int set_up(void **)
{
    fake::boot(1);
    catch_log();
    base = make_base(on_iocp);
    return 0;
}

int tear_down(void **)
{
    event_base_free(base);
    return check_nothing_is_left();
}

void use_bufferevent(user *self, struct bufferevent *bev)
{
    assert_non_null(bev);
    self->bev = bev;
    bufferevent_setcb(bev, on_read, nullptr, on_event, self);
    assert_int_equal(bufferevent_enable(bev, EV_READ | EV_WRITE), 0);
    turn_to_port(base);
}

void use_file(user *self, HANDLE file, int options)
{
    *self = user();
    self->file = file;
    use_bufferevent(self, bufferevent_iocp_handle_new(base, file, options));
}

void open_user(user *self, sys::transport by, int options)
{
    use_file(self, fake::open_file(by), options);
}

void turns(int count)
{
    for (int i = 0; i < count; ++i) {
        fake::advance_us(1000);
        turn(base);
    }
}

void free_user(user *self)
{
    bufferevent_free(self->bev);
    for (int i = 0; i < max_turns && fake::file_is_open(self->file); ++i)
        turns(1);
    assert_false(fake::file_is_open(self->file));
}

void say(user *self, const std::string &bytes)
{
    bufferevent_write(self->bev, bytes.data(), bytes.size());
}

} // namespace handle_users
} // namespace iocp

#include "real/pool.h"

namespace real {

namespace {

constexpr DWORD limit_ms = deadline_seconds * 1000;

void on_pool_accept(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    auto *self = static_cast<pool_worker *>(argument);
    ++self->accepted; // before the client knows
    if (send(fd, "x", 1, 0) != 1)
        self->failed = true;
    evutil_closesocket(fd);
}

void on_pool_end(evutil_socket_t, short, void *argument)
{
    event_base_loopbreak(static_cast<pool_worker *>(argument)->own_base);
}

DWORD WINAPI pool_work(void *argument)
{
    auto *self = static_cast<pool_worker *>(argument);
    struct event_config *config = event_config_new();
    event_config_set_flag(config, self->flags);
    self->own_base = event_base_new_with_config(config);
    event_config_free(config);
    self->listener = evconnlistener_new(self->own_base, on_pool_accept, self, 0, 0, self->listening);
    struct event *end = event_new(self->own_base, self->told_to_end[0], EV_READ, on_pool_end, self);
    if (self->listener == nullptr || event_add(end, nullptr) != 0)
        self->failed = true;
    event_base_loop(self->own_base, EVLOOP_NONBLOCK);
    self->ready = true;
    if (event_base_dispatch(self->own_base) != 0)
        self->failed = true;
    event_free(end);
    evconnlistener_free(self->listener);
    event_base_free(self->own_base);
    return 0;
}

} // namespace

void pool_open(pool *self, int count, int flags, int on_select)
{
    self->count = count;
    self->listening = bound(SOCK_STREAM, &self->address);
    assert_int_equal(listen(self->listening, SOMAXCONN), 0);
    for (int i = 0; i < count; ++i) {
        pool_worker *each = &self->workers[i];
        each->accepted = 0;
        each->ready = each->failed = false;
        each->listening = self->listening;
        each->flags = flags | (i < on_select ? EVENT_BASE_FLAG_IGNORE_ENV : EVENT_BASE_FLAG_STARTUP_IOCP);
        make_pair(each->told_to_end);
        each->thread = CreateThread(nullptr, 0, pool_work, each, 0, nullptr);
        assert_non_null(each->thread);
    }
    DWORD begun = GetTickCount();
    for (int i = 0; i < count; ++i)
        while (!self->workers[i].ready && GetTickCount() - begun < limit_ms)
            SwitchToThread();
}

void pool_close(pool *self)
{
    for (int i = 0; i < self->count; ++i)
        send(self->workers[i].told_to_end[1], "x", 1, 0);
    for (int i = 0; i < self->count; ++i) {
        pool_worker *each = &self->workers[i];
        assert_int_equal(WaitForSingleObject(each->thread, limit_ms), WAIT_OBJECT_0);
        CloseHandle(each->thread);
        close_pair(each->told_to_end);
        assert_true(each->ready && !each->failed);
    }
    evutil_closesocket(self->listening);
}

evutil_socket_t pool_connect(const struct sockaddr_in &address)
{
    auto client = static_cast<evutil_socket_t>(socket(AF_INET, SOCK_STREAM, 0));
    if (client < 0 || connect(client, reinterpret_cast<const struct sockaddr *>(&address), sizeof(address)) == 0)
        return client;
    closesocket(client);
    return -1;
}

bool pool_greeted(evutil_socket_t client)
{
    DWORD limit = limit_ms;
    struct linger reset = {1, 0};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, reinterpret_cast<const char *>(&limit), sizeof(limit));
    setsockopt(client, SOL_SOCKET, SO_LINGER, reinterpret_cast<const char *>(&reset), sizeof(reset));
    char byte = '\0';
    bool greeted = recv(client, &byte, 1, 0) == 1 && byte == 'x';
    closesocket(client);
    return greeted;
}

int pool_serves(pool *self, int clients, int together)
{
    constexpr int most_together = 1024;
    static evutil_socket_t connected[most_together];
    assert_true(together <= most_together);
    int served = 0;
    for (int begun = 0; begun < clients; begun += together) {
        for (int i = 0; i < together; ++i)
            connected[i] = pool_connect(self->address);
        for (int i = 0; i < together; ++i)
            served += connected[i] >= 0 && pool_greeted(connected[i]);
    }
    return served;
}

} // namespace real

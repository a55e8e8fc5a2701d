// Both ends of pipes as bufferevents, on the real kernel.
#include <set>
#include <string>

#include "real/real_base.h"

#include "../real/accounting.h"

#include "compat/sys.h"

#include "event2/iocp.h"

using namespace real;

namespace {

const char *const name =
    "\\\\.\\pipe\\libevent-iocp-test-\xe2\x82\xac-\xf0\x9f\x9a\xb0"; // two and four bytes a character

struct evpipelistener *listener;
std::set<struct bufferevent *> served;
size_t welcomed;
size_t awaited_served;

void served_read(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void served_ended(struct bufferevent *bev, short, void *)
{
    served.erase(bev);
    bufferevent_free(bev);
    if (served.size() == awaited_served)
        event_base_loopbreak(base);
}

void on_client(struct evpipelistener *, void *handle, void *)
{
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, handle, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(bev);
    bufferevent_setcb(bev, served_read, nullptr, served_ended, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    served.insert(bev);
    ++welcomed;
}

void listen(int instances = 0)
{
    served.clear();
    welcomed = 0;
    awaited_served = SIZE_MAX;
    listener = evpipelistener_iocp_new(base, name, instances, nullptr, on_client, nullptr);
    assert_non_null(listener);
}

void stop_listening()
{
    evpipelistener_iocp_free(listener);
    for (struct bufferevent *bev : served)
        bufferevent_free(bev);
    served.clear();
}

// What became of connects.
size_t answered;
size_t awaited_answers;
short happened;
int error;

void client_read(struct bufferevent *bev, void *)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) == 5 && ++answered == awaited_answers)
        event_base_loopbreak(base);
}

void client_event(struct bufferevent *, short what, void *)
{
    error = EVUTIL_SOCKET_ERROR();
    happened = what;
    if (what != BEV_EVENT_CONNECTED)
        event_base_loopbreak(base);
}

struct bufferevent *start_connect(int options, const struct timeval *patience = nullptr, const char *to = name)
{
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, options);
    assert_non_null(bev);
    assert_int_equal(bufferevent_iocp_pipe_connect(bev, to, patience), 0);
    return bev;
}

struct bufferevent *connect_one(const struct timeval *patience = nullptr, const char *to = name)
{
    struct bufferevent *bev = start_connect(BEV_OPT_CLOSE_ON_FREE, patience, to);
    bufferevent_setcb(bev, client_read, nullptr, client_event, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_write(bev, "hello", 5);
    return bev;
}

bool await_answers(size_t count)
{
    awaited_answers = count;
    return answered >= count || run_loop();
}

int begin(void **state)
{
    answered = 0;
    happened = 0;
    return set_up(state);
}

void one_after_another(void **)
{
    listen();
    for (size_t i = 1; i <= 200; ++i) {
        struct bufferevent *bev = connect_one();
        assert_true(await_answers(i));
        assert_int_equal(happened, BEV_EVENT_CONNECTED);
        bufferevent_free(bev);
    }
    assert_int_equal(welcomed, 200);
    awaited_served = 0;
    assert_true(served.empty() || run_loop());
    stop_listening();
}

// Most find the pipe busy first.
void many_at_once(void **)
{
    constexpr size_t count = 50;
    struct bufferevent *clients[count];
    struct timeval patience = {deadline_seconds, 0};
    listen(1);
    for (struct bufferevent *&client : clients)
        client = connect_one(&patience);
    assert_true(await_answers(count));
    assert_int_equal(welcomed, count);
    for (struct bufferevent *client : clients)
        bufferevent_free(client);
    stop_listening();
}

void nobody_listens(void **)
{
    struct bufferevent *bev = connect_one();
    assert_int_equal(happened, 0);
    assert_true(run_loop());
    assert_int_equal(happened, BEV_EVENT_ERROR);
    assert_int_equal(error, ERROR_FILE_NOT_FOUND);
    bufferevent_free(bev);
}

void busy_until_patience_ends(void **)
{
    struct timeval patience = {0, 200 * 1000};
    listen(1);
    evpipelistener_iocp_disable(listener);
    struct bufferevent *first = connect_one(), *second = connect_one(&patience);
    assert_true(run_loop());
    assert_int_equal(happened, BEV_EVENT_ERROR);
    assert_int_equal(error, WSAETIMEDOUT);
    bufferevent_free(second);
    // The other waits to be told of.
    evpipelistener_iocp_enable(listener);
    assert_true(await_answers(1));
    bufferevent_free(first);
    stop_listening();
}

// Some of which has not been told of.
void the_listener_goes_with_its_clients(void **)
{
    listen(2);
    evpipelistener_iocp_disable(listener);
    struct bufferevent *bev = connect_one();
    assert_true(look_until(
        [&] { return happened == BEV_EVENT_CONNECTED && evbuffer_get_length(bufferevent_get_output(bev)) == 0; }));
    stop_listening();
    assert_true(run_loop());
    assert_int_equal(happened & BEV_EVENT_EOF, BEV_EVENT_EOF);
    bufferevent_free(bev);
}

// Where the server only writes, or only reads.
void in_one_direction(bool we_read, const wchar_t *path, const char *in_utf_8)
{
    HANDLE instance = nullptr;
    assert_int_equal(iocp::sys::pipe_create(path, {!we_read, we_read, true, 0, nullptr}, &instance), 0);
    struct bufferevent *client = connect_one(nullptr, in_utf_8);
    if (we_read)
        evbuffer_drain(bufferevent_get_output(client), 5);
    else
        bufferevent_disable(client, EV_READ);
    assert_true(look_until([] { return happened != 0; }));
    assert_int_equal(happened, BEV_EVENT_CONNECTED);
    struct bufferevent *server = bufferevent_iocp_handle_new(base, instance, BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(server);
    bufferevent_setcb(server, client_read, nullptr, nullptr, nullptr);
    bufferevent_enable(server, we_read ? EV_WRITE : EV_READ);
    if (we_read)
        bufferevent_write(server, "hello", 5);
    assert_true(await_answers(1));
    bufferevent_free(client);
    bufferevent_free(server);
    answered = 0;
    happened = 0;
}

void one_direction(void **)
{
    in_one_direction(true, L"\\\\.\\pipe\\libevent-iocp-test-in", "\\\\.\\pipe\\libevent-iocp-test-in");
    in_one_direction(false, L"\\\\.\\pipe\\libevent-iocp-test-out", "\\\\.\\pipe\\libevent-iocp-test-out");
}

void round_read(struct bufferevent *bev, void *left)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) < 4)
        return;
    evbuffer_drain(bufferevent_get_input(bev), 4);
    if (--*static_cast<int *>(left) == 0)
        event_base_loopbreak(base);
    bufferevent_write(bev, "ping", 4);
}

void round_trips(void **)
{
    int left = 2000;
    listen();
    struct bufferevent *bev = start_connect(BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, round_read, nullptr, nullptr, &left);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_write(bev, "ping", 4);
    assert_true(run_loop());
    assert_int_equal(left, 0);
    bufferevent_free(bev);
    stop_listening();
}

void freed_at_any_time(void **)
{
    for (int turns = 0; turns < 12; ++turns) {
        listen(1 + turns % 2);
        struct bufferevent *clients[4];
        for (struct bufferevent *&client : clients)
            client = connect_one();
        for (int i = 0; i < turns; ++i)
            look();
        if (turns % 3 == 0)
            stop_listening();
        for (struct bufferevent *client : clients)
            bufferevent_free(client);
        if (turns % 3 != 0)
            stop_listening();
    }
}

DWORD WINAPI free_them(void *argument)
{
    auto **clients = static_cast<struct bufferevent **>(argument);
    for (int i = 0; clients[i] != nullptr; ++i) {
        bufferevent_free(clients[i]);
        if (i % 8 == 0)
            Sleep(0);
    }
    event_base_loopbreak(base);
    return 0;
}

// While the loop tries and tells.
void freed_by_another_thread(void **)
{
    for (int round = 0; round < 20; ++round) {
        constexpr int count = 40;
        struct bufferevent *clients[count + 1] = {};
        listen(1);
        for (int i = 0; i < count; ++i) {
            clients[i] = start_connect(BEV_OPT_CLOSE_ON_FREE | BEV_OPT_THREADSAFE);
            bufferevent_write(clients[i], "hello", 5);
        }
        HANDLE thread = CreateThread(nullptr, 0, free_them, clients, 0, nullptr);
        assert_true(run_loop());
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
        look();
        stop_listening();
    }
}

// 4 MiB each way, of which much waits for the other end to read.
void bulk_event(struct bufferevent *, short what, void *)
{
    assert_int_equal(what, BEV_EVENT_CONNECTED);
    happened = what;
}

void bulk_read(struct bufferevent *bev, void *total)
{
    struct evbuffer *input = bufferevent_get_input(bev);
    auto *at = static_cast<size_t *>(total);
    size_t length = evbuffer_get_length(input);
    const unsigned char *bytes = evbuffer_pullup(input, -1);
    for (size_t i = 0; i < length; ++i)
        if (bytes[i] != static_cast<unsigned char>((*at + i) * 7 + (*at + i) / 251))
            fail_msg("byte %u came back wrong", static_cast<unsigned>(*at + i));
    *at += length;
    evbuffer_drain(input, length);
    if (*at == 4 * 1024 * 1024)
        event_base_loopbreak(base);
}

void much(void **)
{
    size_t total = 0;
    listen();
    struct bufferevent *bev = start_connect(BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, bulk_read, nullptr, bulk_event, &total);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    for (size_t i = 0; i < 4 * 1024 * 1024; ++i) {
        auto byte = static_cast<unsigned char>(i * 7 + i / 251);
        bufferevent_write(bev, &byte, 1);
    }
    assert_true(run_loop());
    assert_int_equal(happened, BEV_EVENT_CONNECTED);
    bufferevent_free(bev);
    stop_listening();
}

void leaves_no_handles(void **state)
{
    unsigned long before = 0;
    for (int i = 0; i < 20; ++i) {
        begin(state);
        listen(2);
        struct bufferevent *gone = connect_one(), *kept = connect_one();
        bufferevent_free(gone);
        assert_true(await_answers(1));
        bufferevent_free(kept);
        stop_listening();
        tear_down(state);
        if (i == 5)
            before = accounting::open_handles();
    }
    assert_int_equal(accounting::open_handles(), before);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_after_another, begin, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, begin, tear_down),
        cmocka_unit_test_setup_teardown(nobody_listens, begin, tear_down),
        cmocka_unit_test_setup_teardown(busy_until_patience_ends, begin, tear_down),
        cmocka_unit_test_setup_teardown(the_listener_goes_with_its_clients, begin, tear_down),
        cmocka_unit_test_setup_teardown(one_direction, begin, tear_down),
        cmocka_unit_test_setup_teardown(round_trips, begin, tear_down),
        cmocka_unit_test_setup_teardown(freed_at_any_time, begin, tear_down),
        cmocka_unit_test_setup_teardown(freed_by_another_thread, begin, tear_down),
        cmocka_unit_test_setup_teardown(much, begin, tear_down),
        cmocka_unit_test(leaves_no_handles),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

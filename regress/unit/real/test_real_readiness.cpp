// Readiness on the real kernel (that of Windows, or Wine): what libevent's users have asked for, each waited for with a
// deadline and never by sleeping.
#include <initializer_list>
#include <vector>

#include "real/real_base.h"

using namespace real;

namespace {

void is_on_a_port(void **)
{
    assert_string_equal(event_base_get_method(base), "iocp");
    assert_int_equal(base->th_notify_fd[0], -1);
}

// --- R8: connects -------------------------------------------------------------------------------------------------

void check_refused(short what)
{
    struct sockaddr_in address, unused;
    evutil_socket_t closed = bound(SOCK_STREAM, &address);
    evutil_socket_t connecting = bound(SOCK_STREAM, &unused);
    evutil_closesocket(closed);
    callbacks = 0;
    struct event *waiting = event_new(base, connecting, what, count_and_break, nullptr);
    int result = connect(connecting, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    assert_true(result == -1 && WSAGetLastError() == WSAEWOULDBLOCK);
    event_add(waiting, nullptr);
    assert_true(run_loop());
    assert_int_equal(callbacks, 1);
    assert_int_equal(last_what & ~what, 0);
    assert_int_equal(evutil_socket_geterror(connecting), WSAECONNREFUSED);
    event_free(waiting);
    evutil_closesocket(connecting);
}

void refused_connect(void **)
{
    check_refused(EV_READ);
    check_refused(EV_WRITE);
    check_refused(EV_READ | EV_WRITE);
}

void accepted_connect(void **)
{
    struct sockaddr_in address, unused;
    evutil_socket_t listener = bound(SOCK_STREAM, &address);
    listen(listener, 5);
    evutil_socket_t connecting = bound(SOCK_STREAM, &unused);
    struct event *waiting = event_new(base, connecting, EV_READ | EV_WRITE, count_and_break, nullptr);
    connect(connecting, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    event_add(waiting, nullptr);
    assert_true(run_loop());
    assert_int_equal(last_what, EV_WRITE);
    struct event *accepting = add(listener, EV_READ, count_and_break, nullptr);
    assert_true(run_loop());
    assert_int_equal(last_what, EV_READ);
    evutil_closesocket(static_cast<evutil_socket_t>(accept(listener, nullptr, nullptr)));
    event_free(waiting);
    event_free(accepting);
    evutil_closesocket(connecting);
    evutil_closesocket(listener);
}

// --- R9: bad sockets ------------------------------------------------------------------------------------------------

void closed_under_the_loop(void **)
{
    evutil_socket_t victim[2], witness[2];
    make_pair(victim);
    make_pair(witness);
    int told = 0, seen = 0;
    struct event *bad = add(victim[0], EV_READ | EV_PERSIST, count_only, &told);
    struct event *good = add(witness[0], EV_READ | EV_PERSIST, count_and_break, &seen);
    assert_int_equal(look(), 0);
    evutil_closesocket(victim[0]);
    for (int i = 0; i < 5; ++i)
        assert_int_equal(look(), 0);
    assert_int_equal(told, 1);
    assert_int_equal(send(witness[1], "x", 1, 0), 1);
    assert_true(run_loop());
    assert_int_equal(told, 1);
    event_del(bad);
    assert_int_equal(event_add(bad, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    event_free(bad);
    event_free(good);
    evutil_closesocket(victim[1]);
    close_pair(witness);
}

// The number of a closed socket comes back as another one: its new owner hears of that one alone.
void number_used_again(void **)
{
    int same = 0;
    for (int i = 0; i < 200; ++i) {
        struct sockaddr_in address;
        evutil_socket_t first = bound(SOCK_DGRAM, &address);
        int told_first = 0, told_second = 0;
        struct event *of_first = add(first, EV_READ | EV_PERSIST, count_only, &told_first);
        look();
        sendto(first, "x", 1, 0, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
        event_free(of_first);
        evutil_closesocket(first);
        evutil_socket_t second = bound(SOCK_DGRAM, &address);
        same += first == second;
        struct event *of_second = add(second, EV_READ | EV_PERSIST, count_only, &told_second);
        look();
        look();
        assert_int_equal(told_first + told_second, 0);
        event_free(of_second);
        evutil_closesocket(second);
    }
    assert_true(same > 0);
}

void refused_handle(HANDLE handle)
{
    struct event *odd =
        event_new(base, reinterpret_cast<evutil_socket_t>(handle), EV_READ | EV_PERSIST, count_only, nullptr);
    WSASetLastError(0);
    assert_int_equal(event_add(odd, nullptr), -1);
    assert_int_equal(WSAGetLastError(), WSAENOTSOCK);
    event_free(odd);
}

void what_is_no_socket(void **)
{
    HANDLE file = CreateFileA("NUL", GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    assert_true(file != INVALID_HANDLE_VALUE);
    HANDLE reading, writing;
    assert_true(CreatePipe(&reading, &writing, nullptr, 0));
    HANDLE signalled = CreateEventA(nullptr, TRUE, FALSE, nullptr);
    for (HANDLE handle : {file, reading, writing, signalled})
        refused_handle(handle);
    HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
    if (input != nullptr && input != INVALID_HANDLE_VALUE)
        refused_handle(input);
    for (HANDLE handle : {file, reading, writing, signalled})
        CloseHandle(handle);
    assert_int_equal(event_base_loop(base, EVLOOP_NONBLOCK), 1); // nothing was added
}

void socket_of_another_port(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    HANDLE foreign = CreateIoCompletionPort(reinterpret_cast<HANDLE>(pair[0]), nullptr, 1, 1);
    assert_non_null(foreign);
    struct event *reader = add(pair[0], EV_READ, count_and_break, nullptr);
    send(pair[1], "x", 1, 0);
    assert_true(run_loop());
    assert_int_equal(last_what, EV_READ);
    event_free(reader);
    close_pair(pair);
    CloseHandle(foreign);
}

// --- R10: UDP
// ---------------------------------------------------------------------------------------------------------

void datagram_after_port_unreachable(void **)
{
    struct sockaddr_in own, closed, sender;
    evutil_socket_t receiver = bound(SOCK_DGRAM, &own);
    evutil_socket_t gone = bound(SOCK_DGRAM, &closed);
    evutil_socket_t genuine = bound(SOCK_DGRAM, &sender);
    evutil_closesocket(gone);
    struct event *reader = add(receiver, EV_READ | EV_PERSIST, count_and_break, nullptr);
    for (int i = 0; i < 5; ++i) {
        sendto(receiver, "lost", 4, 0, reinterpret_cast<struct sockaddr *>(&closed), sizeof(closed));
        for (int turn = 0; turn < 5; ++turn)
            look();
    }
    // Each unreachable port may be told, but only so often: the socket must not spin.
    assert_true(callbacks <= 5);
    callbacks = 0;
    sendto(genuine, "here", 4, 0, reinterpret_cast<struct sockaddr *>(&own), sizeof(own));
    char text[16];
    int length = -1;
    while (length < 0) {
        assert_true(run_loop());
        length = static_cast<int>(recv(receiver, text, sizeof(text), 0));
        assert_true(callbacks < 10);
    }
    assert_int_equal(length, 4);
    assert_memory_equal(text, "here", 4);
    event_free(reader);
    evutil_closesocket(receiver);
    evutil_closesocket(genuine);
}

// --- EV_CLOSED, one-shots, many -------------------------------------------------------------------------------------

void early_close(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    struct event *closed = add(pair[0], EV_CLOSED | EV_PERSIST, count_and_break, nullptr);
    send(pair[1], "data", 4, 0);
    struct event *reader = add(pair[0], EV_READ, count_and_break, nullptr);
    assert_true(run_loop());
    assert_int_equal(last_what, EV_READ);
    // Windows reports the end of the stream although there are bytes before it; Wine only when they have been read.
    char text[16];
    assert_int_equal(recv(pair[0], text, sizeof(text), 0), 4);
    look();
    assert_int_equal(callbacks, 1);
    shutdown(pair[1], SD_SEND);
    assert_true(run_loop());
    assert_int_equal(last_what, EV_CLOSED);
    event_free(closed);
    event_free(reader);
    close_pair(pair);
}

// A connection that is gone for good is told to who waits for any of the three.
void reset_is_told_to_all(void **)
{
    for (short what : {EV_READ, EV_WRITE, EV_CLOSED}) {
        evutil_socket_t pair[2];
        make_pair(pair);
        callbacks = 0;
        if (what == EV_WRITE) { // or it is writable now
            char block[4096] = {};
            while (send(pair[0], block, sizeof(block), 0) > 0)
                continue;
        }
        struct event *waiting = add(pair[0], what, count_and_break, nullptr);
        look();
        assert_int_equal(callbacks, 0);
        struct linger at_once = {1, 0};
        setsockopt(pair[1], SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&at_once), sizeof(at_once));
        evutil_closesocket(pair[1]);
        assert_true(run_loop());
        assert_int_equal(last_what, what);
        event_free(waiting);
        evutil_closesocket(pair[0]);
    }
}

struct ping {
    struct event *one_shot;
    evutil_socket_t in;
    evutil_socket_t out;
    int left;
};

void on_ping(evutil_socket_t, short, void *argument)
{
    auto *state = static_cast<ping *>(argument);
    char byte;
    recv(state->in, &byte, 1, 0);
    if (--state->left == 0) {
        event_base_loopbreak(base);
        return;
    }
    event_add(state->one_shot, nullptr);
    send(state->out, "x", 1, 0);
}

void one_shot_added_again(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    ping state = {nullptr, pair[0], pair[1], 1000};
    state.one_shot = add(pair[0], EV_READ, on_ping, &state);
    send(pair[1], "x", 1, 0);
    assert_true(run_loop());
    assert_int_equal(state.left, 0);
    event_free(state.one_shot);
    close_pair(pair);
}

int awaited;

void on_datagram(evutil_socket_t fd, short, void *argument)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    ++*static_cast<int *>(argument);
    if (--awaited == 0)
        event_base_loopbreak(base);
}

void many_sockets_few_active(void **)
{
    constexpr int many = 4000;
    constexpr int active = 10;
    std::vector<evutil_socket_t> sockets(many);
    std::vector<struct sockaddr_in> addresses(many);
    std::vector<struct event *> events(many);
    std::vector<int> told(many, 0);
    for (size_t i = 0; i < many; ++i) {
        sockets[i] = bound(SOCK_DGRAM, &addresses[i]);
        events[i] = add(sockets[i], EV_READ | EV_PERSIST, on_datagram, &told[i]);
    }
    assert_int_equal(look(), 0);
    for (size_t i = 0; i < active; ++i) {
        struct sockaddr_in *to = &addresses[i * (many / active)];
        sendto(sockets[1], "x", 1, 0, reinterpret_cast<struct sockaddr *>(to), sizeof(*to));
    }
    awaited = active;
    assert_true(run_loop());
    for (size_t i = 0; i < many; ++i)
        assert_int_equal(told[i], i % (many / active) == 0 ? 1 : 0);
    for (size_t i = 0; i < many; ++i) {
        event_free(events[i]);
        evutil_closesocket(sockets[i]);
    }
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_on_a_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accepted_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_under_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(number_used_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(socket_of_another_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(datagram_after_port_unreachable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(early_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reset_is_told_to_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_shot_added_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_sockets_few_active, set_up, tear_down),
    };
    start();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}

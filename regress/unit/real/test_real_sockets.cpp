// Sockets that did not come from socket() in this process, on the real kernel: made without WSA_FLAG_OVERLAPPED,
// duplicated, inherited, of several families. A bufferevent on any of them moves its bytes, overlapped or not.
#include <stdlib.h>
#include <string>

#include "real/real_base.h"

#include "compat/sys.h"

using namespace real;

namespace {

constexpr char echo_argument[] = "echo-on";
constexpr char ask_argument[] = "ask-what-is";
constexpr char hello[] = "hello";
constexpr size_t hello_length = sizeof(hello) - 1;

void echo_back(struct bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void break_loop(struct bufferevent *, short, void *)
{
    event_base_loopbreak(base);
}

void break_when_heard(struct bufferevent *bev, void *)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) >= hello_length)
        event_base_loopbreak(base);
}

struct bufferevent *on(evutil_socket_t fd, bufferevent_data_cb read)
{
    struct bufferevent *bev = bufferevent_socket_new(base, fd, 0);
    assert_non_null(bev);
    bufferevent_setcb(bev, read, nullptr, break_loop, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    return bev;
}

// What `asking` says comes back, `rounds` times.
void converse(struct bufferevent *asking, int rounds)
{
    for (int round = 0; round < rounds; ++round) {
        bufferevent_write(asking, hello, hello_length);
        assert_true(run_loop());
        char heard[hello_length + 1];
        assert_int_equal(bufferevent_read(asking, heard, sizeof(heard)), hello_length);
        assert_memory_equal(heard, hello, hello_length);
    }
}

void check_echo_between(evutil_socket_t asking_fd, evutil_socket_t echoing_fd)
{
    struct bufferevent *asking = on(asking_fd, break_when_heard);
    struct bufferevent *echoing = on(echoing_fd, echo_back);
    converse(asking, 3);
    bufferevent_free(asking);
    bufferevent_free(echoing);
}

// --- how a socket was made ------------------------------------------------------------------------------------------

// No port takes it: it is polled.
void without_the_overlapped_flag(void **)
{
    struct sockaddr_in address;
    evutil_socket_t listener = bound(SOCK_STREAM, &address);
    listen(listener, 1);
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, 0, nullptr, 0, 0);
    assert_int_equal(connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)), 0);
    auto plain = static_cast<evutil_socket_t>(made);
    evutil_make_socket_nonblocking(plain);
    auto accepted = static_cast<evutil_socket_t>(accept(static_cast<SOCKET>(listener), nullptr, nullptr));
    evutil_make_socket_nonblocking(accepted);
    check_echo_between(plain, accepted);
    check_echo_between(accepted, plain);
    evutil_closesocket(plain);
    evutil_closesocket(accepted);
    evutil_closesocket(listener);
}

evutil_socket_t duplicate_of(evutil_socket_t fd)
{
    WSAPROTOCOL_INFOW info;
    assert_int_equal(WSADuplicateSocketW(static_cast<SOCKET>(fd), GetCurrentProcessId(), &info), 0);
    SOCKET made = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
    assert_true(made != INVALID_SOCKET);
    return static_cast<evutil_socket_t>(made);
}

// Two descriptors of one socket: the first used is on the port, the other is polled; each goes on without the other.
void duplicated(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    evutil_socket_t twin = duplicate_of(pair[1]);
    check_echo_between(pair[0], pair[1]);
    check_echo_between(pair[0], twin);
    evutil_closesocket(pair[1]);
    check_echo_between(pair[0], twin);
    evutil_closesocket(twin);
    struct bufferevent *left = on(pair[0], break_when_heard);
    assert_true(run_loop()); // the end of the stream comes when the last of them is closed
    bufferevent_free(left);
    evutil_closesocket(pair[0]);
}

// A plain event on one descriptor sees what comes, while the other has a bufferevent that does not read.
void duplicated_and_watched(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    evutil_socket_t twin = duplicate_of(pair[1]);
    struct bufferevent *idle = on(pair[1], nullptr);
    bufferevent_disable(idle, EV_READ);
    struct event *watching = add(twin, EV_READ, count_and_break, nullptr);
    send(static_cast<SOCKET>(pair[0]), hello, hello_length, 0);
    assert_true(run_loop());
    assert_int_equal(callbacks, 1);
    event_free(watching);
    bufferevent_free(idle);
    evutil_closesocket(twin);
    close_pair(pair);
}

// --- another process ------------------------------------------------------------------------------------------------

int echo_until_the_end(evutil_socket_t fd)
{
    set_up(nullptr);
    struct bufferevent *echoing = on(fd, echo_back);
    bool ended = run_loop();
    bufferevent_free(echoing);
    evutil_closesocket(fd);
    tear_down(nullptr);
    return ended ? 0 : 1;
}

HANDLE start_child(const char *argument, evutil_socket_t inherited)
{
    char path[MAX_PATH];
    GetModuleFileNameA(nullptr, path, sizeof(path));
    std::string line =
        "\"" + std::string(path) + "\" " + argument + " " + std::to_string(static_cast<unsigned long long>(inherited));
    STARTUPINFOA start = {};
    start.cb = sizeof(start);
    PROCESS_INFORMATION child;
    assert_true(CreateProcessA(path, &line[0], nullptr, nullptr, TRUE, 0, nullptr, nullptr, &start, &child) != FALSE);
    CloseHandle(child.hThread);
    return child.hProcess;
}

DWORD status_of(HANDLE child)
{
    DWORD status = 1;
    assert_int_equal(WaitForSingleObject(child, deadline_seconds * 1000), WAIT_OBJECT_0);
    GetExitCodeProcess(child, &status);
    CloseHandle(child);
    return status;
}

// The child's base has it on its own port, or polls it where it is on its parent's already.
void inherited(void **)
{
    for (int used_before = 0; used_before < 2; ++used_before) {
        evutil_socket_t pair[2];
        make_pair(pair);
        if (used_before != 0)
            check_echo_between(pair[0], pair[1]);
        SetHandleInformation(reinterpret_cast<HANDLE>(pair[0]), HANDLE_FLAG_INHERIT, 0);
        SetHandleInformation(reinterpret_cast<HANDLE>(pair[1]), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
        if (status_of(start_child(ask_argument, pair[1])) != 0) {
            close_pair(pair);
            print_message("no socket is inherited here (Wine)\n");
            skip();
        }
        HANDLE child = start_child(echo_argument, pair[1]);
        evutil_closesocket(pair[1]);
        struct bufferevent *asking = on(pair[0], break_when_heard);
        converse(asking, 3);
        bufferevent_free(asking);
        evutil_closesocket(pair[0]);
        assert_int_equal(status_of(child), 0);
    }
}

// --- families
// ---------------------------------------------------------------------------------------------------------

SOCKET datagram_socket(int family)
{
    SOCKET made = socket(family, SOCK_DGRAM, 0);
    struct sockaddr_storage address = {};
    address.ss_family = static_cast<ADDRESS_FAMILY>(family);
    int length = family == AF_INET6 ? static_cast<int>(sizeof(struct sockaddr_in6))
                                    : static_cast<int>(sizeof(struct sockaddr_in));
    if (family == AF_INET6)
        reinterpret_cast<struct sockaddr_in6 *>(&address)->sin6_addr = in6addr_loopback;
    else
        reinterpret_cast<struct sockaddr_in *>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *name = reinterpret_cast<struct sockaddr *>(&address);
    if (made == INVALID_SOCKET || bind(made, name, length) != 0 || getsockname(made, name, &length) != 0 ||
        connect(made, name, length) != 0) { // to itself
        closesocket(made);
        return INVALID_SOCKET;
    }
    return made;
}

// They are of one provider, whatever their family, and one select takes them all.
void look_at_once(SOCKET of_one_family, SOCKET of_another)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    SOCKET sockets[] = {static_cast<SOCKET>(pair[0]), of_one_family, of_another};
    constexpr unsigned count = 3;
    iocp::sys::look looks[count];
    for (unsigned i = 0; i < count; ++i)
        looks[i] = {sockets[i], true, i != 1, false};
    assert_int_equal(iocp::sys::look_now(looks, count), 0);
    for (unsigned i = 0; i < count; ++i) {
        assert_false(looks[i].reads);
        assert_int_equal(looks[i].writes, i != 1);
    }
    send(static_cast<SOCKET>(pair[1]), hello, hello_length, 0);
    for (unsigned i = 1; i < count; ++i)
        send(sockets[i], hello, hello_length, 0);
    for (unsigned i = 0; i < count; ++i) {
        struct event *arrived = add(static_cast<evutil_socket_t>(sockets[i]), EV_READ, count_and_break, nullptr);
        assert_true(run_loop());
        event_free(arrived);
    }
    for (unsigned i = 0; i < count; ++i)
        looks[i] = {sockets[i], i != 1, i == 1, false};
    assert_int_equal(iocp::sys::look_now(looks, count), 0);
    for (unsigned i = 0; i < count; ++i) {
        assert_int_equal(looks[i].reads, i != 1);
        assert_int_equal(looks[i].writes, i == 1);
    }
    for (unsigned i = 1; i < count; ++i)
        closesocket(sockets[i]);
    close_pair(pair);
}

void streams_and_datagrams_in_one_look(void **)
{
    look_at_once(datagram_socket(AF_INET), datagram_socket(AF_INET));
}

// A machine may have no IPv6.
void families_in_one_look(void **)
{
    SOCKET sixth = datagram_socket(AF_INET6);
    if (sixth == INVALID_SOCKET)
        skip();
    look_at_once(datagram_socket(AF_INET), sixth);
}

struct bufferevent *accepted_one;

void echo_on(struct evconnlistener *, evutil_socket_t fd, struct sockaddr *, int, void *)
{
    accepted_one = on(fd, echo_back);
}

// From a bind to the end of the stream, by a listener and a connect of libevent's. False: there are no such sockets.
bool whole_life(struct sockaddr *address, int length)
{
    SOCKET listening = socket(address->sa_family, SOCK_STREAM, 0);
    if (listening == INVALID_SOCKET)
        return false;
    assert_int_equal(bind(listening, address, length), 0);
    if (address->sa_family == AF_INET) // whose port the kernel has chosen
        assert_int_equal(getsockname(listening, address, &length), 0);
    auto fd = static_cast<evutil_socket_t>(listening);
    evutil_make_socket_nonblocking(fd);
    struct evconnlistener *listener = evconnlistener_new(base, echo_on, nullptr, LEV_OPT_CLOSE_ON_FREE, 4, fd);
    assert_non_null(listener);
    accepted_one = nullptr;
    struct bufferevent *asking = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(asking, break_when_heard, nullptr, break_loop, nullptr);
    assert_int_equal(bufferevent_socket_connect(asking, address, length), 0);
    assert_true(run_loop()); // connected
    bufferevent_enable(asking, EV_READ);
    converse(asking, 3);
    bufferevent_free(asking);
    assert_true(run_loop()); // the end
    fd = bufferevent_getfd(accepted_one);
    bufferevent_free(accepted_one);
    evutil_closesocket(fd);
    evconnlistener_free(listener);
    return true;
}

void life_of_an_internet_socket(void **)
{
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(whole_life(reinterpret_cast<struct sockaddr *>(&address), sizeof(address)));
}

// The same code, so that it is seen to work where there are none.
void life_of_a_local_socket(void **)
{
    struct {
        unsigned short family;
        char path[108];
    } address = {AF_UNIX, ""};
    char folder[MAX_PATH];
    assert_true(GetTempPathA(sizeof(folder), folder) != 0);
    std::string path = folder + ("iocp-" + std::to_string(GetCurrentProcessId()) + ".sock");
    assert_true(path.size() < sizeof(address.path));
    path.copy(address.path, path.size());
    DeleteFileA(path.c_str());
    bool there = whole_life(reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    DeleteFileA(path.c_str());
    if (!there) {
        print_message("no AF_UNIX here\n");
        skip();
    }
}

// An outgoing port that ConnectEx is given may be shared by connections to other peers; where Windows has no such
// option, it works as before.
void outgoing_ports(void **)
{
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(iocp::sys::bind_any(made, AF_INET), 0);
    assert_int_equal(iocp::sys::bind_any(made, AF_INET), 0); // bound already
    closesocket(made);
    assert_int_equal(iocp::sys::bind_any(made, AF_INET), WSAENOTSOCK);
}

// Off one port and onto another. Where there is no way off, it stays, which is looked at before the test is skipped.
void off_the_port(void **)
{
    evutil_socket_t pair[2];
    make_pair(pair);
    auto handle = reinterpret_cast<HANDLE>(pair[0]);
    HANDLE ports[2];
    for (HANDLE &port : ports)
        assert_int_equal(iocp::sys::port_create(&port, 1), 0);
    assert_int_equal(iocp::sys::port_associate(ports[0], handle, 0), 0);
    assert_int_not_equal(iocp::sys::port_associate(ports[1], handle, 0), 0);
    bool left = iocp::sys::leave_port(static_cast<SOCKET>(pair[0])) == 0;
    assert_int_equal(iocp::sys::port_associate(ports[1], handle, 0) == 0, left);
    WSABUF none = {0, nullptr};
    OVERLAPPED overlapped = {};
    assert_true(iocp::sys::receive(static_cast<SOCKET>(pair[0]), &none, 1, &overlapped, false).how ==
                iocp::sys::started::pending);
    send(static_cast<SOCKET>(pair[1]), hello, hello_length, 0);
    OVERLAPPED_ENTRY entry;
    ULONG count = 0;
    assert_int_equal(iocp::sys::port_dequeue(ports[left ? 1 : 0], &entry, 1, deadline_seconds * 1000000,
                                             iocp::sys::wait_kind::plain, &count),
                     0);
    assert_int_equal(count, 1);
    assert_ptr_equal(entry.lpOverlapped, &overlapped);
    close_pair(pair);
    for (HANDLE port : ports)
        iocp::sys::close_handle(port);
    if (!left)
        skip();
}

} // namespace

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_the_overlapped_flag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicated_and_watched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inherited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_and_datagrams_in_one_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(families_in_one_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(life_of_an_internet_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(life_of_a_local_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outgoing_ports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(off_the_port, set_up, tear_down),
    };
    start();
    int type;
    auto given = count == 3 ? static_cast<evutil_socket_t>(_strtoui64(arguments[2], nullptr, 10)) : -1;
    if (given != -1 && std::string(arguments[1]) == ask_argument)
        return iocp::sys::socket_type(static_cast<SOCKET>(given), &type);
    if (given != -1)
        return echo_until_the_end(given);
    return cmocka_run_group_tests_name("real sockets", tests, nullptr, nullptr);
}

// event2/iocp_pipe.h: named pipes are listened on, and connected to, as sockets are.
#include "handles.h"

#include <vector>

namespace parity {

namespace {

// A server that echoes.
struct pipe_server {
    std::string name;
    struct evpipelistener *listener;
    std::vector<struct bufferevent *> clients;
    int told;
};

void echo_pipe(struct bufferevent *client, void *)
{
    bufferevent_write_buffer(client, bufferevent_get_input(client));
}

void welcome_pipe(struct evpipelistener *from, void *handle, void *argument)
{
    auto *self = static_cast<pipe_server *>(argument);
    ++self->told;
    struct event_base *base = evpipelistener_iocp_get_base(from);
    struct bufferevent *client = bufferevent_iocp_handle_new(base, handle, BEV_OPT_CLOSE_ON_FREE);
    if (client == nullptr) {
        CloseHandle(handle);
        return;
    }
    bufferevent_setcb(client, echo_pipe, nullptr, nullptr, nullptr);
    bufferevent_enable(client, EV_READ | EV_WRITE);
    self->clients.push_back(client);
}

bool serve(struct event_base *base, pipe_server *self)
{
    self->name = new_pipe_name();
    self->told = 0;
    self->listener = evpipelistener_iocp_new(base, self->name.c_str(), 0, nullptr, welcome_pipe, self);
    return self->listener != nullptr;
}

void end_server(pipe_server *self)
{
    evpipelistener_iocp_free(self->listener);
    for (struct bufferevent *client : self->clients)
        bufferevent_free(client);
}

bool connect_to(struct event_base *base, record *into, const std::string &name, const struct timeval *patience)
{
    *into = {};
    into->inside_call = true;
    into->bev = bufferevent_iocp_pipe_connect(base, name.c_str(), patience, BEV_OPT_CLOSE_ON_FREE);
    if (into->bev == nullptr)
        return false;
    note_callbacks(into);
    bufferevent_enable(into->bev, EV_READ | EV_WRITE);
    into->inside_call = false;
    return true;
}

bool each_client_is_told_of_and_answered(struct event_base *base)
{
    constexpr size_t clients = 20;
    pipe_server server;
    REQUIRE(serve(base, &server));
    std::vector<record> all(clients);
    for (record &each : all) {
        REQUIRE(connect_to(base, &each, server.name, nullptr));
        bufferevent_write(each.bev, "hello", 5); // before it is connected
    }
    REQUIRE(run_until(base, [&] {
        size_t answered = 0;
        for (const record &each : all)
            answered += each.data == "hello";
        return answered == clients;
    }));
    for (record &each : all) {
        REQUIRE(each.connected == 1 && each.errors == 0 && !each.called_inside);
        bufferevent_free(each.bev);
    }
    REQUIRE(server.told == static_cast<int>(clients));
    end_server(&server);
    return true;
}

bool nobody_there_is_told_by_the_loop(struct event_base *base)
{
    record one;
    REQUIRE(connect_to(base, &one, new_pipe_name(), nullptr));
    REQUIRE(one.errors == 0);
    REQUIRE(run_until(base, [&] { return one.errors > 0; }));
    REQUIRE(one.errors == 1 && one.error == ERROR_FILE_NOT_FOUND && one.connected == 0 && !one.called_inside);
    bufferevent_free(one.bev);
    return true;
}

HANDLE instance_of(const std::string &name)
{
    constexpr DWORD most = 2;
    return CreateNamedPipeA(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, 0, most, 0, 0, 0, nullptr);
}

bool a_busy_pipe_is_waited_for(struct event_base *base)
{
    std::string name = new_pipe_name();
    HANDLE one = instance_of(name);
    record first, second, third;
    REQUIRE(connect_to(base, &first, name, nullptr));
    REQUIRE(run_until(base, [&] { return first.connected == 1; }));
    struct timeval shortly = {0, 50 * 1000};
    REQUIRE(connect_to(base, &second, name, &shortly) && connect_to(base, &third, name, nullptr));
    REQUIRE(run_until(base, [&] { return second.errors == 1; }));
    REQUIRE(second.error == WSAETIMEDOUT && third.errors + third.connected == 0);
    HANDLE another = instance_of(name);
    REQUIRE(another != INVALID_HANDLE_VALUE);
    REQUIRE(run_until(base, [&] { return third.connected == 1; }));
    for (record *each : {&first, &second, &third})
        bufferevent_free(each->bev);
    CloseHandle(one);
    CloseHandle(another);
    return true;
}

bool a_name_is_free_when_its_listener_is(struct event_base *base)
{
    pipe_server server;
    REQUIRE(serve(base, &server));
    for (int i = 0; i < 20; ++i) {
        evpipelistener_iocp_free(server.listener);
        server.listener = evpipelistener_iocp_new(base, server.name.c_str(), 0, nullptr, welcome_pipe, &server);
        REQUIRE(server.listener != nullptr);
        if (i % 2 != 0)
            turn(base);
    }
    record one;
    REQUIRE(connect_to(base, &one, server.name, nullptr));
    REQUIRE(run_until(base, [&] { return one.connected == 1 && server.told == 1; }));
    bufferevent_free(one.bev);
    end_server(&server);
    return true;
}

bool a_listener_leaves_nothing(struct event_base *base)
{
    DWORD before = 0;
    for (int i = 0; i < 20; ++i) {
        pipe_server server;
        record one;
        REQUIRE(serve(base, &server) && connect_to(base, &one, server.name, nullptr));
        if (i % 2 == 0)
            REQUIRE(run_until(base, [&] { return server.told == 1 && one.connected == 1; }));
        bufferevent_free(one.bev); // of every other one its connect is not over
        end_server(&server);
        some_turns(base);
        if (i == 9)
            before = handles_open();
    }
    REQUIRE(run_until(base, [&] { return handles_open() <= before; }));
    return true;
}

bool what_is_no_name_of_a_pipe_here_is_refused(struct event_base *base)
{
    for (const char *name : {"", "name", "C:\\name", "\\\\server\\pipe\\name", "\\\\.\\pipe\\"}) {
        REQUIRE(is_refused(bufferevent_iocp_pipe_connect(base, name, nullptr, 0), ERROR_INVALID_NAME));
        REQUIRE(is_refused(evpipelistener_iocp_new(base, name, 0, nullptr, welcome_pipe, nullptr), ERROR_INVALID_NAME));
    }
    REQUIRE(
        is_refused(bufferevent_iocp_pipe_connect(base, "\\\\.\\pipe\\\xff", nullptr, 0), ERROR_NO_UNICODE_TRANSLATION));
    std::string name = new_pipe_name();
    struct event_base *other = select_base();
    for (struct event_base *each : {other, static_cast<struct event_base *>(nullptr)}) {
        REQUIRE(is_refused(bufferevent_iocp_pipe_connect(each, name.c_str(), nullptr, 0), WSAEOPNOTSUPP));
        REQUIRE(
            is_refused(evpipelistener_iocp_new(each, name.c_str(), 0, nullptr, welcome_pipe, nullptr), WSAEOPNOTSUPP));
    }
    REQUIRE(is_refused(evpipelistener_iocp_new(base, name.c_str(), 0, nullptr, nullptr, nullptr), WSAEINVAL));
    event_base_free(other);
    return true;
}

} // namespace

const guarantee pipe_guarantees[] = {
    {"pipe_each_client_is_told_of_and_answered", each_client_is_told_of_and_answered},
    {"pipe_nobody_there_is_told_by_the_loop", nobody_there_is_told_by_the_loop},
    {"pipe_a_busy_pipe_is_waited_for", a_busy_pipe_is_waited_for},
    {"pipe_a_name_is_free_when_its_listener_is", a_name_is_free_when_its_listener_is},
    {"pipe_a_listener_leaves_nothing", a_listener_leaves_nothing},
    {"pipe_what_is_no_name_of_a_pipe_here_is_refused", what_is_no_name_of_a_pipe_here_is_refused},
    {nullptr, nullptr},
};

} // namespace parity

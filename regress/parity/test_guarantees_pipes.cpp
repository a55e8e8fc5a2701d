// event2/iocp_pipe.h: a listener on a named pipe, and connects to it.
#include "own_parts.h"

namespace parity {

namespace {

std::string pipe_name()
{
    return "\\\\.\\pipe\\libevent-iocp-guarantee-" + std::to_string(GetCurrentProcessId());
}

struct service {
    struct event_base *base;
    struct evpipelistener *listener;
    record client;
    record server; // of the last client that was told of
    int told;
    bool frees;
};

void on_client(struct evpipelistener *listener, void *handle, void *argument)
{
    auto *self = static_cast<service *>(argument);
    ++self->told;
    if (self->server.bev != nullptr)
        bufferevent_free(self->server.bev);
    self->server = {};
    self->server.bev = bufferevent_iocp_handle_new(self->base, handle, BEV_OPT_CLOSE_ON_FREE);
    if (self->server.bev != nullptr) {
        note_callbacks(&self->server);
        bufferevent_enable(self->server.bev, EV_READ | EV_WRITE);
    }
    if (self->frees) {
        evpipelistener_iocp_free(listener);
        self->listener = nullptr;
    }
}

bool listens(struct event_base *base, service *made, int instances = 0)
{
    *made = {};
    made->base = base;
    made->listener = evpipelistener_iocp_new(base, pipe_name().c_str(), instances, nullptr, on_client, made);
    REQUIRE(made->listener != nullptr && evpipelistener_iocp_get_base(made->listener) == base);
    return true;
}

bool connects(struct event_base *base, record *client, const struct timeval *patience = nullptr)
{
    *client = {};
    client->bev = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(client->bev != nullptr && bufferevent_getfd(client->bev) == -1);
    note_callbacks(client);
    REQUIRE(bufferevent_iocp_pipe_connect(client->bev, pipe_name().c_str(), patience) == 0);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
    return true;
}

void free_record(record *of)
{
    if (of->bev != nullptr)
        bufferevent_free(of->bev);
    of->bev = nullptr;
}

void stop(service *of)
{
    if (of->listener != nullptr)
        evpipelistener_iocp_free(of->listener);
    free_record(&of->client);
    free_record(&of->server);
}

HANDLE open_by_hand()
{
    return CreateFileA(pipe_name().c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
}

// What was written before there was a connection is sent then.
bool pipe_client_and_server_talk(struct event_base *base)
{
    service s;
    REQUIRE(listens(base, &s) && connects(base, &s.client));
    std::string there = pattern(1, 0, 100000), back = pattern(2, 0, 100000);
    bufferevent_write(s.client.bev, there.data(), there.size());
    REQUIRE(s.client.connected == 0);
    REQUIRE(happens(base, [&] { return s.server.data.size() >= there.size(); }));
    bufferevent_write(s.server.bev, back.data(), back.size());
    REQUIRE(happens(base, [&] { return s.client.data.size() >= back.size(); }));
    REQUIRE(s.server.data == there && s.client.data == back);
    REQUIRE(s.client.connected == 1 && s.client.errors + s.client.ended == 0 && s.told == 1);
    free_record(&s.client);
    REQUIRE(happens(base, [&] { return s.server.ended == 1; }));
    stop(&s);
    return true;
}

bool writes_of_a_connect(struct event_base *base, record *client, bool writes)
{
    REQUIRE(happens(base, [&] { return client->connected == 1; }));
    some_turns(base);
    REQUIRE(client->writes == (writes ? 1 : 0));
    return true;
}

// A socket that connects is told of a write if it has written, and so is a pipe.
bool pipe_connect_tells_of_writes_as_a_sockets(struct event_base *base)
{
    for (bool writes : {false, true}) {
        record socket;
        REQUIRE(open_unconnected(base, &socket, BEV_OPT_CLOSE_ON_FREE));
        struct sockaddr_in address;
        SOCKET listening = listening_socket(1, &address);
        if (writes)
            bufferevent_write(socket.bev, "before", 6);
        REQUIRE(bufferevent_socket_connect(socket.bev, reinterpret_cast<struct sockaddr *>(&address),
                                           sizeof(address)) == 0);
        REQUIRE(writes_of_a_connect(base, &socket, writes));
        close_pair(&socket);
        closesocket(listening);
        service s;
        REQUIRE(listens(base, &s) && connects(base, &s.client));
        if (writes)
            bufferevent_write(s.client.bev, "before", 6);
        REQUIRE(writes_of_a_connect(base, &s.client, writes));
        stop(&s);
    }
    return true;
}

// By an address none of them can connect; it goes on, and no socket of libevent's is left.
bool pipe_connect_goes_on_after_one_by_address(struct event_base *base)
{
    service s;
    struct sockaddr_in address;
    SOCKET listening = listening_socket(8, &address);
    REQUIRE(listens(base, &s) && connects(base, &s.client));
    unsigned long handles = 0;
    for (int i = 0; i < 4; ++i) {
        WSASetLastError(0);
        REQUIRE(bufferevent_socket_connect(s.client.bev, reinterpret_cast<struct sockaddr *>(&address),
                                           sizeof(address)) == -1);
        REQUIRE(EVUTIL_SOCKET_ERROR() == WSAEOPNOTSUPP && bufferevent_getfd(s.client.bev) == -1);
        if (i == 0)
            handles = accounting::open_handles();
    }
    REQUIRE(accounting::open_handles() == handles);
    REQUIRE(happens(base, [&] { return s.client.connected == 1; }));
    bufferevent_write(s.client.bev, "there", 5);
    REQUIRE(happens(base, [&] { return s.server.data == "there"; }));
    closesocket(listening);
    stop(&s);
    return true;
}

bool pipe_connect_is_told_that_nobody_listens(struct event_base *base)
{
    record client;
    REQUIRE(connects(base, &client));
    REQUIRE(client.errors == 0); // yet
    REQUIRE(happens(base, [&] { return client.errors == 1; }));
    REQUIRE(client.error == ERROR_FILE_NOT_FOUND && client.connected == 0);
    free_record(&client);
    return true;
}

// A disabled listener with one instance, which has its client.
bool pipe_connect_is_as_patient_as_it_is_told(struct event_base *base)
{
    service s;
    record hasty, patient;
    struct timeval none = {0, 0}, long_enough = {deadline_ms / 1000, 0};
    REQUIRE(listens(base, &s, 1) && evpipelistener_iocp_disable(s.listener) == 0);
    REQUIRE(connects(base, &s.client));
    REQUIRE(happens(base, [&] { return s.client.connected == 1; }));
    REQUIRE(connects(base, &hasty, &none) && connects(base, &patient, &long_enough));
    REQUIRE(happens(base, [&] { return hasty.errors == 1; }));
    REQUIRE(hasty.error == WSAETIMEDOUT && patient.errors + patient.connected == 0);
    REQUIRE(s.told == 0);
    REQUIRE(evpipelistener_iocp_enable(s.listener) == 0);
    REQUIRE(happens(base, [&] { return patient.connected == 1 && s.told == 2; }));
    free_record(&hasty);
    free_record(&patient);
    stop(&s);
    return true;
}

bool pipe_client_that_has_gone_is_told_of(struct event_base *base)
{
    service s;
    REQUIRE(listens(base, &s));
    HANDLE client = open_by_hand();
    REQUIRE(client != INVALID_HANDLE_VALUE && write_by_hand(client, "gone"));
    CloseHandle(client);
    REQUIRE(happens(base, [&] { return s.server.ended == 1; }));
    REQUIRE(s.server.data == "gone" && s.told == 1);
    stop(&s);
    return true;
}

// The client that it was told of stays.
bool pipe_listener_freed_in_its_own_callback(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        service s;
        record second;
        REQUIRE(listens(base, &s, 2));
        s.frees = true;
        REQUIRE(connects(base, &s.client) && connects(base, &second));
        bufferevent_write(s.client.bev, "x", 1);
        bufferevent_write(second.bev, "x", 1);
        REQUIRE(happens(base, [&] {
            return s.server.data == "x" && second.connected + second.errors + s.client.connected + s.client.errors >= 2;
        }));
        some_turns(base);
        REQUIRE(s.told == 1 && s.listener == nullptr);
        free_record(&second);
        stop(&s);
        return true;
    });
}

// With a client that nobody is told of, who sees the end; and the name is free.
bool pipe_no_callback_after_free(struct event_base *)
{
    return leaves_nothing([&](struct event_base *base) {
        service s;
        record given_up;
        REQUIRE(listens(base, &s));
        HANDLE client = open_by_hand();
        REQUIRE(client != INVALID_HANDLE_VALUE && connects(base, &given_up));
        free_record(&given_up);
        stop(&s);
        REQUIRE(happens(base, [&] { return !PeekNamedPipe(client, nullptr, 0, nullptr, nullptr, nullptr); }));
        CloseHandle(client);
        client = open_by_hand();
        REQUIRE(client == INVALID_HANDLE_VALUE && GetLastError() == ERROR_FILE_NOT_FOUND);
        some_turns(base);
        REQUIRE(s.told == 0 && given_up.connected + given_up.errors == 0);
        return true;
    });
}

int error_of_listener(struct event_base *base, const char *name, int instances, evpipelistener_cb cb)
{
    return error_of([&] { return evpipelistener_iocp_new(base, name, instances, nullptr, cb, nullptr) != nullptr; });
}

int error_of_connect(struct event_base *base, const char *name, const struct timeval *patience)
{
    struct bufferevent *bev = bufferevent_iocp_handle_new(base, INVALID_HANDLE_VALUE, BEV_OPT_CLOSE_ON_FREE);
    int error = error_of([&] { return bev != nullptr && bufferevent_iocp_pipe_connect(bev, name, patience) == 0; });
    bufferevent_free(bev);
    return error;
}

bool pipe_names_are_refused(struct event_base *base)
{
    const std::string too_long = pipe_name() + std::string(256, 'x');
    const struct {
        const char *name;
        int error;
    } wrong[] = {
        {"\\\\server\\pipe\\name", ERROR_INVALID_NAME}, {"\\\\.\\pipe\\", ERROR_INVALID_NAME},
        {"\\\\.\\pipe\\a\\..\\b", ERROR_INVALID_NAME},  {"\\\\.\\pipe\\\xff", ERROR_NO_UNICODE_TRANSLATION},
        {too_long.c_str(), ERROR_FILENAME_EXCED_RANGE},
    };
    for (const auto &each : wrong) {
        REQUIRE(error_of_listener(base, each.name, 0, on_client) == each.error);
        REQUIRE(error_of_connect(base, each.name, nullptr) == each.error);
    }
    return true;
}

bool pipe_refusals(struct event_base *base)
{
    const std::string name = pipe_name();
    REQUIRE(refused_off_the_port([&](struct event_base *on) {
        return evpipelistener_iocp_new(on, name.c_str(), 0, nullptr, on_client, nullptr) != nullptr;
    }));
    REQUIRE(error_of_listener(base, name.c_str(), -1, on_client) == WSAEINVAL);
    REQUIRE(error_of_listener(base, name.c_str(), EVPIPELISTENER_IOCP_MAX_INSTANCES + 1, on_client) == WSAEINVAL);
    REQUIRE(error_of_listener(base, name.c_str(), 0, nullptr) == WSAEINVAL);
    struct timeval no_time = {-1, 0};
    REQUIRE(error_of_connect(base, name.c_str(), &no_time) == WSAEINVAL);
    struct bufferevent *of_socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(error_of([&] { return bufferevent_iocp_pipe_connect(of_socket, name.c_str(), nullptr) == 0; }) ==
            WSAEOPNOTSUPP);
    bufferevent_free(of_socket);
    REQUIRE(open_by_hand() == INVALID_HANDLE_VALUE && GetLastError() == ERROR_FILE_NOT_FOUND);
    return true;
}

} // namespace

const guarantee pipe_guarantees[] = {
    {"pipe_client_and_server_talk", pipe_client_and_server_talk},
    {"pipe_connect_tells_of_writes_as_a_sockets", pipe_connect_tells_of_writes_as_a_sockets},
    {"pipe_connect_goes_on_after_one_by_address", pipe_connect_goes_on_after_one_by_address},
    {"pipe_connect_is_told_that_nobody_listens", pipe_connect_is_told_that_nobody_listens},
    {"pipe_connect_is_as_patient_as_it_is_told", pipe_connect_is_as_patient_as_it_is_told},
    {"pipe_client_that_has_gone_is_told_of", pipe_client_that_has_gone_is_told_of},
    {"pipe_listener_freed_in_its_own_callback", pipe_listener_freed_in_its_own_callback},
    {"pipe_no_callback_after_free", pipe_no_callback_after_free},
    {"pipe_names_are_refused", pipe_names_are_refused},
    {"pipe_refusals", pipe_refusals},
    {nullptr, nullptr},
};

} // namespace parity

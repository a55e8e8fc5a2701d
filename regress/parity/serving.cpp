#include "serving.h"
#include "serving_server.h"

#include <algorithm>
#include <memory>
#include <stdio.h>

namespace parity {

namespace {

constexpr ULONGLONG hang_ms = 5000;
constexpr int turns_at_once = 6;
constexpr int max_rounds = 30; // of requests that were held
constexpr int server_timeout_us = 4000;
constexpr int stalled_reply = 1500000; // more than fits on the way

void on_tick(evutil_socket_t, short, void *)
{
}

void turn(serving *self, bool wait)
{
    struct timeval millisecond = {0, 1000};
    if (wait)
        event_add(self->tick, &millisecond);
    event_base_loop(self->base, wait ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    event_del(self->tick);
}

bool holds_for(const serving *self, int client)
{
    return std::any_of(self->held.begin(), self->held.end(),
                       [client](const held_request &each) { return each.client == client; });
}

// What comes before a request that the script has to answer has been answered.
bool waits_for_script(const serving *self, int client)
{
    int answered = self->clients[client].answered;
    return std::any_of(self->held.begin(), self->held.end(), [client, answered](const held_request &each) {
        return each.client == client && each.timer == nullptr && each.number <= answered;
    });
}

bool is_quiet(serving *self, std::string *why)
{
    for (int i = 0; i < max_clients; ++i) {
        serving_client *one = &self->clients[i];
        client_go_on(one);
        *why = "client " + std::to_string(i);
        if (!client_is_content(one) && !waits_for_script(self, i))
            return false;
        bool gone = one->line.far_end == INVALID_SOCKET || one->line.far_ended;
        if (gone && self->connections[i] != nullptr && !holds_for(self, i))
            return false;
    }
    *why = "a reply that comes later";
    for (const held_request &each : self->held)
        if (each.timer != nullptr && !self->clients[each.client].reads_nothing)
            return false;
    *why = "callbacks to be run";
    return event_base_get_num_events(self->base, EVENT_BASE_COUNT_ACTIVE) == 0;
}

void log_step(serving *self)
{
    for (int i = 0; i < max_clients; ++i) {
        if (self->clients[i].reads_nothing) // how far the server comes with it is chance
            continue;
        if (!self->seen[i].empty())
            self->out.lines.push_back("server of " + std::to_string(i) + ":" + self->seen[i]);
        if (!self->clients[i].log.empty())
            self->out.lines.push_back("client " + std::to_string(i) + ":" + self->clients[i].log);
        self->seen[i].clear();
        self->clients[i].log.clear();
    }
}

std::string body_of(int client, int bytes)
{
    std::string body(static_cast<size_t>(bytes), '\0');
    for (size_t i = 0; i < body.size(); ++i)
        body[i] = stream_byte(70 + client, i);
    return body;
}

// The head, with what the server is to do.
std::string make_request(const serving_client *one, int client, deed does, int size, const operation &what)
{
    char line[160];
    snprintf(line, sizeof(line), "%s /%d/%d/%d HTTP/1.%d\r\nHost: x\r\n", what.b == 0 ? "GET" : "POST",
             static_cast<int>(does), client, size, (what.c & is_http_1_0) == 0);
    std::string head = line;
    // (Behind another request, libevent says so and then does not read on, on select too.)
    if ((what.c & expects_100) != 0 && one->unsent.empty() && one->asked == one->answered)
        head += "Expect: 100-continue\r\n";
    if ((what.c & asks_to_close) != 0)
        head += "Connection: close\r\n";
    if ((what.c & body_in_chunks) != 0)
        head += "Transfer-Encoding: chunked\r\n";
    else if (what.b != 0)
        head += "Content-Length: " + std::to_string(what.b) + "\r\n";
    return head + "\r\n";
}

size_t received_by_all(const serving *self)
{
    size_t sum = 0;
    for (const serving_client &each : self->clients)
        sum += each.line.received;
    return sum;
}

// As long as something comes, in as many bits as it may, nobody hangs.
template <class Condition> bool turn_until(serving *self, Condition condition)
{
    ULONGLONG end = GetTickCount64() + hang_ms;
    size_t received = 0;
    int quiet = 0;
    for (int i = 0; quiet < 2 && GetTickCount64() < end; ++i) {
        turn(self, i > turns_at_once && quiet == 0);
        quiet = condition() ? quiet + 1 : 0;
        if (received != received_by_all(self))
            end = GetTickCount64() + hang_ms;
        received = received_by_all(self);
    }
    return quiet == 2;
}

void settle(serving *self)
{
    std::string why;
    if (!turn_until(self, [&] { return is_quiet(self, &why); })) {
        self->out.hung = true;
        self->out.lines.push_back("HANGS: " + why);
    }
    log_step(self);
}

void ask(serving *self, int client, const operation &what)
{
    serving_client *one = &self->clients[client];
    if (one->line.far_end == INVALID_SOCKET && self->connections[client] != nullptr)
        return; // the one before has not been seen to end
    if (one->line.far_ended && self->connections[client] != nullptr)
        return;
    bool is_new = false;
    if (!client_open(one, self->address, &is_new)) {
        self->out.lines.push_back("WRONG: cannot connect");
        return;
    }
    if (is_new)
        self->served[client] = 0;
    if (one->reads_nothing && what.b > self->max_body) // no deed would tell that it was met
        return;
    if (what.b > self->max_body && reset_overtakes_bytes()) // what evhttp leaves unread is answered by one
        return;
    auto does = static_cast<deed>(what.a);
    if (one->reads_nothing && does == deed::chunks_and_drops) // how much has left by then is chance
        does = deed::chunks;
    bool is_last = does == deed::refuses || does == deed::chunks_and_drops || what.b > self->max_body;
    int size = one->reads_nothing ? stalled_reply : (what.b * 7 + what.a * 1000) % 30000;
    client_ask(one, make_request(one, client, does, size, what), body_of(client, what.b), what.c, is_last);
    client_go_on(one);
}

void drop_all_held(serving *self, int client)
{
    for (auto next = self->held.begin(); next != self->held.end();) {
        held_request *each = &*next++;
        if (each->client == client)
            drop_held(each);
    }
}

void turn_or_hang(serving *self, const char *what, bool (*come)(serving *, int), int client)
{
    if (self->out.hung || turn_until(self, [=] { return come(self, client); }))
        return;
    self->out.hung = true;
    self->out.lines.push_back(std::string("HANGS: ") + what);
}

bool is_met(serving *self, int client)
{
    const serving_client *one = &self->clients[client];
    return self->served[client] > 0 || one->asked == 0 || one->line.far_end == INVALID_SOCKET || one->line.far_ended;
}

bool is_over_and_dropped(serving *self, int client)
{
    drop_all_held(self, client);
    return self->connections[client] == nullptr;
}

bool is_over_for_both(serving *self, int client)
{
    client_go_on(&self->clients[client]);
    return self->connections[client] == nullptr && self->clients[client].line.far_ended;
}

struct timeval patience()
{
    return {0, server_timeout_us};
}

// How far the server has come with a client that reads nothing is chance. So what it has seen of it is not compared,
// and nothing of its connection is left.
void end_stalled(serving *self, int client, bool by_client, bool reset)
{
    serving_client *one = &self->clients[client];
    turn_or_hang(self, "a first request", is_met, client);
    struct timeval limit = patience();
    if (by_client)
        client_close(one, reset);
    else if (self->connections[client] != nullptr)
        evhttp_connection_set_timeout_tv(self->connections[client], &limit);
    turn_or_hang(self, "the end of a client that does not read", is_over_and_dropped, client);
    client_close(one, false);
    one->reads_nothing = false;
    one->log.clear();
    self->seen[client].clear();
}

// The server's patience with a connection ends: at once with a client that neither asks, nor goes on, nor reads.
void time_out(serving *self, int client)
{
    settle(self);
    if (self->clients[client].reads_nothing) {
        end_stalled(self, client, false, false);
        return;
    }
    struct evhttp_connection *connection = self->connections[client];
    if (connection == nullptr || self->out.hung || holds_for(self, client))
        return;
    struct timeval limit = patience();
    evhttp_connection_set_timeout_tv(connection, &limit);
    turn_or_hang(self, "a timeout", is_over_for_both, client);
    settle(self);
}

void leave(serving *self, int client, bool reset)
{
    serving_client *one = &self->clients[client];
    if (one->line.far_end == INVALID_SOCKET)
        return;
    settle(self); // what it has sent would arrive by chance
    // What is behind a request that is held may be lost: the answer to that brings a reset.
    if (one->reads_nothing)
        end_stalled(self, client, true, reset);
    else if (!holds_for(self, client) || one->asked <= one->answered + 1)
        client_close(one, reset);
}

// A client that reads sees the end of its connection.
void free_and_start_anew(serving *self)
{
    settle(self);
    if (self->out.hung)
        return;
    free_server(self);
    for (int i = 0; i < max_clients; ++i) {
        serving_client *one = &self->clients[i];
        one->server_closes = true;
        if (one->reads_nothing)
            end_stalled(self, i, true, false);
    }
    settle(self);
    if (!start_server(self))
        self->out.lines.push_back("WRONG: no server");
}

void apply(serving *self, const operation &what)
{
    int client = what.subject % max_clients;
    serving_client *one = &self->clients[client];
    switch (what.kind) {
    case op_kind::sync:
        settle(self);
        break;
    case op_kind::serve_ask:
        ask(self, client, what);
        break;
    case op_kind::serve_answer:
        if (one->reads_nothing) // whether it has been met is chance
            break;
        for (held_request &each : self->held) {
            if (each.client == client && each.timer == nullptr) {
                what.a != 0 ? drop_held(&each) : answer_held(&each);
                break;
            }
        }
        break;
    case op_kind::serve_finish:
        settle(self);
        if (one->line.far_end == INVALID_SOCKET || one->line.far_ended || one->reads_nothing || holds_for(self, client))
            break;
        one->unsent.clear();
        shutdown(one->line.far_end, SD_SEND);
        one->line.near_shut = true;
        break;
    case op_kind::serve_leave:
        leave(self, client, what.a != 0);
        break;
    case op_kind::serve_time_out:
        time_out(self, client);
        break;
    case op_kind::serve_free:
        free_and_start_anew(self);
        break;
    default: // serve_stall
        settle(self);
        one->reads_nothing = what.a != 0;
        if (!one->reads_nothing)
            settle(self);
        break;
    }
}

bool begin(serving *self, const script &of, base_kind kind)
{
    self->base = new_base(kind, of.locks, 2);
    if (self->base == nullptr)
        return false;
    self->tick = evtimer_new(self->base, on_tick, nullptr);
    for (serving_client &each : self->clients)
        each.line.far_end = INVALID_SOCKET;
    self->max_body = of.max_body;
    self->deferred = of.deferred && kind == base_kind::iocp;
    return start_server(self);
}

void end(serving *self)
{
    for (serving_client &each : self->clients)
        each.reads_nothing = false;
    if (!self->out.hung)
        settle(self);
    for (int i = 0; i < max_rounds && (i == 0 || !self->held.empty()); ++i) {
        // Those with a timer are answered by it.
        std::list<held_request> *held = &self->held;
        for (auto next = held->begin(); next != held->end();) {
            held_request *each = &*next++;
            if (each->timer == nullptr)
                answer_held(each);
            else if (self->out.hung)
                drop_held(each);
        }
        if (!self->out.hung)
            settle(self);
    }
    free_server(self);
    turn(self, false);
    for (serving_client &each : self->clients)
        if (each.line.far_end != INVALID_SOCKET)
            closesocket(each.line.far_end);
    event_free(self->tick);
    event_base_free(self->base);
}

} // namespace

trace run_serving(const script &of, base_kind kind)
{
    auto self = std::make_unique<serving>();
    if (!begin(self.get(), of, kind)) {
        self->out.hung = true;
        self->out.lines.push_back("cannot begin");
        return self->out;
    }
    for (const operation &next : of.operations)
        if (!self->out.hung)
            apply(self.get(), next);
    end(self.get());
    return self->out;
}

} // namespace parity

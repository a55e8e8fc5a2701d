#include "serving_client.h"
#include "serving.h"

#include <stdio.h>
#include <stdlib.h>

namespace parity {

namespace {

constexpr int max_reads = 256;
constexpr size_t chunk = 700;

std::string in_chunks(const std::string &body)
{
    std::string text;
    char head[32];
    for (size_t at = 0; at < body.size(); at += chunk) {
        std::string part = body.substr(at, chunk);
        snprintf(head, sizeof(head), "%x\r\n", static_cast<unsigned>(part.size()));
        text += head + part + "\r\n";
    }
    return text + "0\r\n\r\n";
}

bool is_open(const serving_client *self)
{
    return self->line.far_end != INVALID_SOCKET && !self->line.far_ended;
}

void lose(serving_client *self)
{
    self->unsent.clear();
    self->line.far_ended = true;
}

void send_unsent(serving_client *self)
{
    while (is_open(self) && !self->unsent.empty() && !self->unsent.front().to_be_completed) {
        piece_to_send *next = &self->unsent.front();
        if (next->after_100 && self->continues == 0)
            return;
        self->continues -= next->after_100;
        next->after_100 = false;
        int sent = send(self->line.far_end, next->text.data(), static_cast<int>(next->text.size()), 0);
        if (sent < 0 && WSAGetLastError() != WSAEWOULDBLOCK)
            self->unsent.clear(); // what has come is read all the same
        if (sent < 0)
            return;
        next->text.erase(0, static_cast<size_t>(sent));
        if (!next->text.empty())
            return;
        self->asked += next->ends_request;
        self->unsent.pop_front();
    }
}

// The end of a body that begins at `from`; npos: it has not come whole.
size_t end_of_body(const std::string &got, const std::string &head, size_t from, std::string *body)
{
    size_t at = head.find("Content-Length: ");
    if (at != std::string::npos) {
        size_t length = strtoul(head.c_str() + at + 16, nullptr, 10);
        *body = got.substr(from, length);
        return got.size() < from + length ? std::string::npos : from + length;
    }
    if (head.find("Transfer-Encoding: chunked") == std::string::npos)
        return std::string::npos; // to the end of the stream
    for (;;) {
        size_t line = got.find("\r\n", from);
        if (line == std::string::npos)
            return line;
        size_t length = strtoul(got.c_str() + from, nullptr, 16);
        if (got.size() < line + 2 + length + 2)
            return std::string::npos;
        body->append(got, line + 2, length);
        from = line + 2 + length + 2;
        if (length == 0)
            return from;
    }
}

unsigned sum_of(const std::string &text)
{
    unsigned sum = 0;
    for (char each : text)
        sum = sum * 31 + static_cast<unsigned char>(each);
    return sum;
}

bool understand_one(serving_client *self)
{
    size_t end = self->got.find("\r\n\r\n");
    if (end == std::string::npos)
        return false;
    std::string head = self->got.substr(0, end), body;
    int code = head.size() > 12 ? atoi(head.c_str() + 9) : 0;
    if (code == 100) {
        ++self->continues;
        self->log += " 100";
        self->got.erase(0, end + 4);
        return true;
    }
    size_t next = end_of_body(self->got, head, end + 4, &body);
    if (next == std::string::npos)
        return false;
    char text[64];
    snprintf(text, sizeof(text), " %d(%u,%x)", code, static_cast<unsigned>(body.size()), sum_of(body));
    self->log += text;
    self->got.erase(0, next);
    ++self->answered;
    if (!self->unsent.empty() && self->unsent.front().after_100) { // its answer has come without
        self->unsent.pop_front();
        ++self->asked;
    }
    self->server_closes = self->server_closes || head.find("Connection: close") != std::string::npos;
    return true;
}

} // namespace

bool client_open(serving_client *self, const any_address &server, bool *is_new)
{
    *is_new = !is_open(self);
    if (is_open(self))
        return true;
    if (self->line.far_end != INVALID_SOCKET)
        closesocket(self->line.far_end);
    bool reads_nothing = self->reads_nothing;
    std::string log = self->log;
    *self = {};
    self->reads_nothing = reads_nothing;
    self->log = log + " connects";
    any_address to = server;
    self->line.far_end = socket(AF_INET, SOCK_STREAM, 0);
    int small = 64 * 1024;
    if (reads_nothing)
        setsockopt(self->line.far_end, SOL_SOCKET, SO_RCVBUF, reinterpret_cast<const char *>(&small), sizeof(small));
    if (connect(self->line.far_end, to.get(), to.length) != 0)
        return false;
    u_long on = 1;
    ioctlsocket(self->line.far_end, FIONBIO, &on);
    BOOL no_delay = TRUE;
    setsockopt(self->line.far_end, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char *>(&no_delay),
               sizeof(no_delay));
    return true;
}

void client_close(serving_client *self, bool reset)
{
    if (self->line.far_end == INVALID_SOCKET)
        return;
    if (reset)
        peer_reset(&self->line);
    else
        closesocket(self->line.far_end);
    self->line.far_end = INVALID_SOCKET;
    self->unsent.clear();
    self->log += " leaves";
}

void client_ask(serving_client *self, const std::string &head, const std::string &body, int form, bool is_last)
{
    if (!self->unsent.empty() && self->unsent.back().to_be_completed)
        self->unsent.back().to_be_completed = false;
    if (self->asked_to_close || self->server_closes || self->line.near_shut) // what comes after it is not heard
        return;
    self->asked_to_close = is_last || (form & (asks_to_close | is_http_1_0)) != 0;
    std::string text = (form & body_in_chunks) != 0 ? in_chunks(body) : body;
    bool alone = self->unsent.empty() && self->asked == self->answered;
    if ((form & expects_100) != 0 && alone) {
        self->unsent.push_back({head, false, false, false});
        self->unsent.push_back({text, true, true, false});
        return;
    }
    text = head + text;
    if ((form & is_cut) == 0) {
        self->unsent.push_back({text, false, true, false});
        return;
    }
    self->unsent.push_back({text.substr(0, text.size() / 2), false, false, false});
    self->unsent.push_back({text.substr(text.size() / 2), false, true, true});
}

void client_go_on(serving_client *self)
{
    send_unsent(self);
    if (self->line.far_end == INVALID_SOCKET || self->reads_nothing)
        return;
    for (int i = 0; i < max_reads && !self->line.far_ended && peer_receive(&self->line, &self->got); ++i)
        continue;
    while (understand_one(self))
        continue;
    if (!self->line.far_ended || self->line.finished)
        return;
    self->line.finished = true; // is told once
    lose(self);
    char text[64];
    snprintf(text, sizeof(text), " %u left, ended", static_cast<unsigned>(self->got.size()));
    self->log += text;
}

bool client_is_content(const serving_client *self)
{
    if (!is_open(self) || self->reads_nothing)
        return true;
    if (self->line.near_shut || self->server_closes || (self->asked_to_close && self->unsent.empty()))
        return false; // until it is closed
    if (!self->unsent.empty() && !self->unsent.front().to_be_completed)
        return false;
    return self->answered >= self->asked;
}

} // namespace parity

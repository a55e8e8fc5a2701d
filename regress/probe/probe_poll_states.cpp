// What an AFD poll says of a socket in each of its states.
#include "probe_poller.h"

#include <stdlib.h>
#include <string.h>

namespace probe {

namespace {

constexpr ULONG with_connect = all_events | iocp::sys::afd_connect;

// A poll that is never told of stays with its socket and ends with it.
std::string closed_under(poller *self, SOCKET socket)
{
    closesocket(socket);
    return "; closed: " + end_of(self, at_once_us);
}

std::string fresh()
{
    poller self;
    open(&self);
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    std::string seen = poll_once(&self, made, with_connect, at_once_us);
    seen += closed_under(&self, made);
    close(&self);
    return seen;
}

std::string connected_and_quiet()
{
    poller self;
    open(&self);
    pair both = connected();
    std::string seen = poll_once(&self, both.here, with_connect, at_once_us);
    seen += "; all but writing: " + poll_once(&self, both.here, all_events_but_send, at_once_us);
    seen += closed_under(&self, both.here);
    closesocket(both.there);
    close(&self);
    return seen;
}

std::string listening()
{
    poller self;
    open(&self);
    struct sockaddr_in address;
    SOCKET made = listener(&address);
    start(&self, 0, made, with_connect);
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    connect(client, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    std::string seen = end_of(&self, soon_us);
    closesocket(client);
    closesocket(made);
    close(&self);
    return seen;
}

// Twice, since a second poll tells what stays.
template <typename Change> std::string polled_over(Change change)
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, all_events_but_send);
    change(both);
    std::string seen = end_of(&self, soon_us);
    seen += "; again: " + poll_once(&self, both.here, all_events_but_send, at_once_us);
    seen += closed_under(&self, both.here);
    closesocket(both.there);
    close(&self);
    return seen;
}

std::string data()
{
    return polled_over([](const pair &both) { send(both.there, "x", 1, 0); });
}

std::string data_taken()
{
    poller self;
    open(&self);
    pair both = connected();
    char byte;
    start(&self, 0, both.here, all_events_but_send);
    send(both.there, "x", 1, 0);
    std::string seen = end_of(&self, soon_us);
    recv(both.here, &byte, 1, 0);
    seen += "; taken: " + poll_once(&self, both.here, all_events_but_send, at_once_us);
    close(both);
    close(&self);
    return seen;
}

std::string end_of_peer()
{
    return polled_over([](const pair &both) { shutdown(both.there, SD_SEND); });
}

std::string urgent()
{
    return polled_over([](const pair &both) { send(both.there, "x", 1, MSG_OOB); });
}

std::string end_of_ours()
{
    return polled_over([](const pair &both) { shutdown(both.here, SD_SEND); });
}

std::string end_of_both()
{
    return polled_over([](const pair &both) { shutdown(both.here, SD_BOTH); });
}

std::string after_a_reset()
{
    poller self;
    open(&self);
    pair both = connected();
    struct linger hard = {1, 0};
    setsockopt(both.there, SOL_SOCKET, SO_LINGER, reinterpret_cast<char *>(&hard), sizeof(hard));
    start(&self, 0, both.here, all_events_but_send);
    closesocket(both.there);
    end_of(&self, soon_us);
    std::string seen = poll_once(&self, both.here, with_connect, at_once_us);
    closesocket(both.here);
    close(&self);
    return seen;
}

// Whether it is told as readable besides is chance under Wine.
std::string told_of_failure(const std::string &seen)
{
    size_t at = seen.find("events ");
    bool told = at != std::string::npos &&
                (strtoul(seen.c_str() + at + strlen("events "), nullptr, 16) & iocp::sys::afd_connect_failed) != 0;
    return told ? seen.substr(0, at) + "the connect has failed" : seen;
}

std::string after_a_refusal()
{
    poller self;
    open(&self);
    struct sockaddr_in address;
    closesocket(listener(&address));
    SOCKET made = socket(AF_INET, SOCK_STREAM, 0);
    iocp::sys::set_blocking(made, false);
    connect(made, reinterpret_cast<struct sockaddr *>(&address), sizeof(address));
    std::string seen = poll_once(&self, made, with_connect, patient_us);
    seen = told_of_failure(seen.substr(seen.find("events") == std::string::npos ? 0 : seen.find("events")));
    seen += "; again: " + told_of_failure(poll_once(&self, made, with_connect, at_once_us));
    closesocket(made);
    close(&self);
    return seen;
}

std::string exclusive()
{
    poller self;
    open(&self);
    pair both = connected();
    start(&self, 0, both.here, all_events_but_send);
    start(&self, 1, both.here, all_events_but_send, true);
    std::string seen = end_of(&self, at_once_us);
    send(both.there, "x", 1, 0);
    seen += "; with data: " + end_of(&self, soon_us);
    seen += "; " + end_of(&self, at_once_us);
    close(both);
    close(&self);
    return seen;
}

const char by_state[] = "backend/poll_socket: what is asked for, and what is told";

const question all[] = {
    {"state.fresh", "a poll for everything of a socket that was never connected", nullptr, by_state, fresh},
    {"state.quiet", "of a connected one", nullptr, by_state, connected_and_quiet},
    {"state.accept", "of a listener that somebody connects to", "packet, events 080", by_state, listening},
    {"state.data", "of one that data comes to", "packet, events 001; again: at once, events 001; closed: no packet",
     by_state, data},
    {"state.taken", "of one whose data is received then", "packet, events 001; taken: no packet", by_state, data_taken},
    {"state.end", "of one whose peer ends its side",
     "packet, events 008; again: at once, events 008; closed: no packet", by_state, end_of_peer},
    {"state.urgent", "of one that urgent data comes to", nullptr,
     "backend/poll_socket: AFD_POLL_RECEIVE_EXPEDITED is not asked for", urgent},
    {"state.end-here", "of one whose own side is shut down for sending", nullptr, by_state, end_of_ours},
    {"state.ends", "of one whose own side is shut down for both", nullptr, by_state, end_of_both},
    {"state.reset", "of one that was told of its reset before", nullptr, by_state, after_a_reset},
    {"state.refused", "of one whose connect is refused, and once more", nullptr, by_state, after_a_refusal},
    {"state.exclusive", "of one that has a poll already, which is to end by it (exclusive)", nullptr,
     "backend/poll_socket: polls are not exclusive", exclusive},
};

} // namespace

questions about_poll_states()
{
    return {all, sizeof(all) / sizeof(all[0])};
}

} // namespace probe

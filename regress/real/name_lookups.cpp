// Lookups by evdns against the name servers of regress/real/names.
//
// usage: name_lookups <address:port,...> addresses <count>   host-<i>.names.test, of both families in turn
//        name_lookups <address:port,...> over-tcp <count>    the same, asked over TCP alone (libevent 2.2)
//        name_lookups <address:port,...> missing <count>     none-<i>.names.test
//        name_lookups <address:port,...> outcome <name>      one name, and the error's number
//        name_lookups <address:port,...> connect <count>     near-<i>.names.test, and a word there and back
// Begins with "evdns asks over UDP alone", or "... over UDP and TCP" where libevent has that too. Ends with one line:
// "result: <right> right, <wrong> wrong, <failed> failed, first error <number>, <blocks> blocks left".
#include "accounting.h"

#include <winsock2.h>
#include <ws2tcpip.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/listener.h>

namespace {

// Lookups or connects under way at a time.
constexpr int under_way_limit = 50;
constexpr int address_size = 16;
// evdns's option for TCP, as resolv.conf has it; 2.1 does not know it.
constexpr char over_tcp[] = "use-vc:";

event_base *base;
evdns_base *names;
int wanted, started, right, wrong, failed;
int first_error;
sockaddr_in near_address;

void begin_some();
void begin_nothing(int)
{
}
void (*begin)(int number) = begin_nothing;

void end_one(int *count, int error)
{
    *count += 1;
    if (first_error == 0)
        first_error = error;
    int done = right + wrong + failed;
    if (done == wanted / 2)
        puts("half of them done");
    if (done == wanted)
        event_base_loopbreak(base);
    begin_some();
}

void begin_some()
{
    while (started < wanted && started - right - wrong - failed < under_way_limit)
        begin(started++);
}

void *as_argument(int number)
{
    return reinterpret_cast<void *>(static_cast<intptr_t>(number));
}

int from_argument(void *argument)
{
    return static_cast<int>(reinterpret_cast<intptr_t>(argument));
}

// The address of host-<number>, as the check writes it: 10.a.b.c and fd00::10:a:b:c.
int address_of(int number, bool six, unsigned char *into)
{
    const unsigned char parts[] = {10, static_cast<unsigned char>(number >> 16),
                                   static_cast<unsigned char>(number >> 8), static_cast<unsigned char>(number)};
    memset(into, 0, address_size);
    for (int i = 0; i < 4; ++i)
        into[six ? 9 + 2 * i : i] = parts[i];
    into[0] = six ? 0xfd : into[0];
    return six ? 16 : 4;
}

void on_address(int error, char type, int count, int, void *addresses, void *argument)
{
    int number = from_argument(argument);
    unsigned char expected[address_size];
    int size = address_of(number, type == DNS_IPv6_AAAA, expected);
    if (error != DNS_ERR_NONE)
        end_one(&failed, error);
    else if (count == 1 && (type == DNS_IPv6_AAAA) == (number % 2 == 1) && memcmp(addresses, expected, size) == 0)
        end_one(&right, 0);
    else
        end_one(&wrong, 0);
}

void begin_address(int number)
{
    std::string name = "host-" + std::to_string(number) + ".names.test";
    auto *resolve = number % 2 == 1 ? evdns_base_resolve_ipv6 : evdns_base_resolve_ipv4;
    if (resolve(names, name.c_str(), DNS_QUERY_NO_SEARCH, on_address, as_argument(number)) == nullptr)
        end_one(&failed, -1);
}

void on_missing(int error, char, int, int, void *, void *)
{
    end_one(error == DNS_ERR_NOTEXIST ? &right : &wrong, error);
}

void begin_missing(int number)
{
    std::string name = "none-" + std::to_string(number) + ".names.test";
    evdns_base_resolve_ipv4(names, name.c_str(), DNS_QUERY_NO_SEARCH, on_missing, nullptr);
}

void on_outcome(int error, char, int, int, void *, void *)
{
    end_one(error == DNS_ERR_NONE ? &right : &failed, error);
}

const char *the_name;

void begin_outcome(int)
{
    evdns_base_resolve_ipv4(names, the_name, DNS_QUERY_NO_SEARCH, on_outcome, nullptr);
}

void on_word(bufferevent *bev, void *argument)
{
    std::string word = std::to_string(from_argument(argument)) + "\n", got(word.size(), '\0');
    evbuffer *input = bufferevent_get_input(bev);
    if (evbuffer_get_length(input) < word.size())
        return;
    evbuffer_remove(input, &got[0], got.size());
    bufferevent_free(bev);
    end_one(got == word ? &right : &wrong, 0);
}

void on_connect_event(bufferevent *bev, short what, void *argument)
{
    std::string word = std::to_string(from_argument(argument)) + "\n";
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        bufferevent_write(bev, word.data(), word.size());
        return;
    }
    int error = bufferevent_socket_get_dns_error(bev);
    bufferevent_free(bev);
    end_one(&failed, error != 0 ? error : EVUTIL_SOCKET_ERROR());
}

void begin_connect(int number)
{
    bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    std::string name = "near-" + std::to_string(number) + ".names.test";
    bufferevent_setcb(bev, on_word, nullptr, on_connect_event, as_argument(number));
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    bufferevent_socket_connect_hostname(bev, names, AF_INET, name.c_str(), ntohs(near_address.sin_port));
}

void echo(bufferevent *bev, void *)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

void end_echo(bufferevent *bev, short, void *)
{
    bufferevent_free(bev);
}

void on_accept(evconnlistener *, evutil_socket_t fd, sockaddr *, int, void *)
{
    bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, echo, nullptr, end_echo, nullptr);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

evconnlistener *listen_near()
{
    near_address.sin_family = AF_INET;
    near_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = sizeof(near_address);
    auto *address = reinterpret_cast<sockaddr *>(&near_address);
    evconnlistener *made =
        evconnlistener_new_bind(base, on_accept, nullptr, LEV_OPT_CLOSE_ON_FREE, -1, address, length);
    if (made != nullptr)
        getsockname(static_cast<SOCKET>(evconnlistener_get_fd(made)), address, &length);
    return made;
}

bool choose(const char *command, const char *value)
{
    wanted = atoi(value);
    if (strcmp(command, "addresses") == 0 || strcmp(command, "over-tcp") == 0) {
        begin = begin_address;
    } else if (strcmp(command, "missing") == 0) {
        begin = begin_missing;
    } else if (strcmp(command, "connect") == 0) {
        begin = begin_connect;
    } else if (strcmp(command, "outcome") == 0) {
        begin = begin_outcome;
        the_name = value;
        wanted = 1;
    }
    return begin != begin_nothing && wanted > 0;
}

bool add_servers(const std::string &list)
{
    for (size_t at = 0; at < list.size();) {
        size_t end = list.find(',', at);
        end = end == std::string::npos ? list.size() : end;
        if (evdns_base_nameserver_ip_add(names, list.substr(at, end - at).c_str()) != 0)
            return false;
        at = end + 1;
    }
    return evdns_base_count_nameservers(names) > 0;
}

} // namespace

int main(int count, char **arguments)
{
    setvbuf(stdout, nullptr, _IONBF, 0);
    puts(LIBEVENT_HAS_DNS_OVER_TCP ? "evdns asks over UDP and TCP" : "evdns asks over UDP alone");
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0 || count != 4 || !choose(arguments[2], arguments[3])) {
        puts("usage: see the top of name_lookups.cpp");
        return 2;
    }
    accounting::start();
    base = event_base_new();
    names = evdns_base_new(base, 0);
    evconnlistener *listener = listen_near();
    if (names == nullptr || listener == nullptr || !add_servers(arguments[1]))
        return 2;
    // A dead name server is found out by what is not answered, and no lookup may fail meanwhile.
    evdns_base_set_option(names, "timeout:", "0.5");
    evdns_base_set_option(names, "attempts:", "10");
    evdns_base_set_option(names, "max-timeouts:", "1");
    if (strcmp(arguments[2], "over-tcp") == 0)
        evdns_base_set_option(names, over_tcp, "");
    begin_some();
    event_base_dispatch(base);
    evconnlistener_free(listener);
    evdns_base_free(names, 0);
    event_base_loop(base, EVLOOP_NONBLOCK); // what was freed in callbacks, and the far ends of connections
    event_base_free(base);
    libevent_global_shutdown();
    printf("result: %d right, %d wrong, %d failed, first error %d, %u blocks left\n", right, wrong, failed, first_error,
           static_cast<unsigned>(accounting::live_blocks()));
    return right == wanted ? 0 : 1;
}

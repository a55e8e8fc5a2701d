// OpenSSL bufferevents: descriptors, connects, accepts and handshakes. Report 491.
#include "tls.h"

#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>

#include <string.h>

namespace parity {

namespace {

constexpr int reconnects = 5;
constexpr int accepted_clients = 30;

bool names_the_descriptor(struct bufferevent *bev, SOCKET wanted)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    int of_write = -1, of_read = -1;
    return bufferevent_getfd(bev) == static_cast<evutil_socket_t>(wanted) &&
           SSL_get_fd(ssl) == static_cast<int>(wanted) &&
           BIO_get_fd(SSL_get_wbio(ssl), &of_write) == static_cast<int>(wanted) &&
           BIO_get_fd(SSL_get_rbio(ssl), &of_read) == static_cast<int>(wanted) && of_write == of_read &&
           of_read == static_cast<int>(wanted);
}

bool tls_getfd_and_the_bio_name_the_descriptor(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_open(base, &two, tls_mode::socket, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE));
    SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
    REQUIRE(ssl != nullptr && names_the_descriptor(two.one.bev, two.one.on.near_end));
    REQUIRE(tls_shake(base, &two));
    REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
    REQUIRE(tls_talk(base, &two));
    REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
    REQUIRE(bufferevent_openssl_get_ssl(two.one.bev) == ssl);
    REQUIRE(bufferevent_get_underlying(two.one.bev) == nullptr);
    tls_close(&two);
    REQUIRE(tls_connect(base, &two, tls_mode::filter, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(bufferevent_getfd(two.one.bev) == static_cast<evutil_socket_t>(two.one.on.near_end));
    REQUIRE(bufferevent_getfd(bufferevent_get_underlying(two.one.bev)) == bufferevent_getfd(two.one.bev));
    tls_close(&two);
    return true;
}

// It is refused, and the session goes on, with what has come already.
bool tls_a_second_connect_changes_nothing(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(tls_talk(base, &two));
    bufferevent_disable(two.one.bev, EV_READ);
    size_t before = two.one.data.size(), sent = 0;
    REQUIRE(tls_peer_writes(&two.peer, "has come", &sent) && sent == 8);
    some_turns(base);
    struct sockaddr_in address = open_address();
    REQUIRE(bufferevent_socket_connect(two.one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) !=
            0);
    REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
    bufferevent_enable(two.one.bev, EV_READ);
    REQUIRE(run_until(base, [&] { return two.one.data.size() == before + sent; }));
    REQUIRE(two.one.data.substr(before) == "has come" && two.one.errors == 0);
    REQUIRE(tls_talk(base, &two));
    tls_close(&two);
    return true;
}

// The SSL may have its descriptor before the bufferevent is made.
bool tls_descriptor_is_learnt_from_the_ssl(struct event_base *base)
{
    tls_pair two = {};
    REQUIRE(connection_make(&two.one.on, 77));
    SSL *ssl = tls_new();
    REQUIRE(SSL_set_fd(ssl, static_cast<int>(two.one.on.near_end)) == 1);
    two.one.bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
    REQUIRE(two.one.bev != nullptr);
    two.one.on.near_closed = true;
    note_callbacks(&two.one);
    REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
    REQUIRE(tls_peer_on(&two.peer, &two.one.on, false));
    REQUIRE(tls_shake(base, &two));
    REQUIRE(tls_talk(base, &two));
    tls_close(&two);
    return true;
}

// Another descriptor begins another handshake; the one taken away is the program's again, and open.
bool tls_setfd_begins_anew(struct event_base *base)
{
    tls_pair two;
    connection first;
    REQUIRE(tls_connect(base, &two, tls_mode::socket, BEV_OPT_CLOSE_ON_FREE));
    REQUIRE(tls_talk(base, &two));
    first = two.one.on;
    REQUIRE(bufferevent_setfd(two.one.bev, -1) == 0);
    REQUIRE(bufferevent_getfd(two.one.bev) == -1);
    some_turns(base);
    std::string got;
    peer_receive(&first, &got);
    REQUIRE(!first.far_ended);
    tls_end_close(&two.peer);
    REQUIRE(connection_make(&two.one.on, 78));
    two.one.on.near_closed = true;
    REQUIRE(bufferevent_setfd(two.one.bev, static_cast<evutil_socket_t>(two.one.on.near_end)) == 0);
    REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
    REQUIRE(tls_peer_on(&two.peer, &two.one.on, false));
    REQUIRE(tls_shake(base, &two));
    REQUIRE(two.one.connected == 2 && tls_talk(base, &two));
    tls_close(&two);
    REQUIRE(send(first.near_end, "open", 4, 0) == 4);
    REQUIRE(peer_reads(base, &first, &got, 4));
    closesocket(first.near_end);
    closesocket(first.far_end);
    return true;
}

// After STARTTLS: the TLS bufferevent is made while the plain one has the descriptor still, and may have received the first
// words of the handshake.
bool tls_takes_over_from_a_plain_one(struct event_base *base)
{
    for (int options : {int(BEV_OPT_CLOSE_ON_FREE), 0}) {
        record plain;
        tls_pair two = {};
        REQUIRE(open_pair(base, &plain, BEV_OPT_CLOSE_ON_FREE));
        bufferevent_enable(plain.bev, EV_READ);
        peer_send(&plain.on, 100, 1);
        REQUIRE(run_until(base, [&] { return plain.data.size() == 100; }));
        some_turns(base);
        two.one.on = plain.on;
        two.one.on.near_closed = options != 0;
        REQUIRE(tls_peer_on(&two.peer, &two.one.on, true));
        tls_peer_shakes(&two.peer);
        two.one.bev = bufferevent_openssl_socket_new(base, bufferevent_getfd(plain.bev), tls_new(),
                                                     BUFFEREVENT_SSL_ACCEPTING, options);
        REQUIRE(two.one.bev != nullptr);
        note_callbacks(&two.one);
        bufferevent_setfd(plain.bev, -1);
        bufferevent_free(plain.bev);
        REQUIRE(tls_shake(base, &two));
        REQUIRE(tls_talk(base, &two));
        SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
        tls_close(&two);
        some_turns(base);
        if (options == 0)
            SSL_free(ssl);
    }
    return true;
}

bool connects_to(tls_pair *two, struct sockaddr_in address)
{
    return bufferevent_socket_connect(two->one.bev, reinterpret_cast<struct sockaddr *>(&address), sizeof(address)) ==
           0;
}

bool connects_and_shakes(struct event_base *base, tls_pair *two)
{
    two->one.on.near_end = static_cast<SOCKET>(bufferevent_getfd(two->one.bev));
    return tls_accept(two) && tls_shake(base, two);
}

bool row491_every_connect_of_one_bufferevent_is_told(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_open_unconnected(base, &two, 0));
    SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
    for (int i = 1; i <= reconnects; ++i) {
        REQUIRE(connects_to(&two, open_address()));
        REQUIRE(connects_and_shakes(base, &two));
        REQUIRE(two.one.connected == i);
        REQUIRE(names_the_descriptor(two.one.bev, two.one.on.near_end));
        REQUIRE(tls_talk(base, &two));
        SSL_shutdown(two.peer.ssl);
        REQUIRE(run_until(base, [&] { return two.one.ended == i; }));
        REQUIRE(two.one.errors == 0);
        REQUIRE(bufferevent_setfd(two.one.bev, -1) == 0);
        closesocket(two.one.on.near_end);
        closesocket(two.one.on.far_end);
    }
    two.one.on.near_end = two.one.on.far_end = INVALID_SOCKET;
    tls_close(&two);
    SSL_free(ssl);
    return true;
}

bool row491_connect_after_a_refused_one(struct event_base *base)
{
    tls_pair two;
    REQUIRE(tls_open_unconnected(base, &two, 0));
    SSL *ssl = bufferevent_openssl_get_ssl(two.one.bev);
    bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
    REQUIRE(connects_to(&two, closed_address()));
    REQUIRE(run_until(base, [&] { return two.one.errors > 0; }));
    some_turns(base);
    REQUIRE(two.one.errors == 1 && two.one.connected == 0 && two.one.ended == 0);
    evutil_socket_t refused = bufferevent_getfd(two.one.bev);
    REQUIRE(bufferevent_setfd(two.one.bev, -1) == 0);
    closesocket(static_cast<SOCKET>(refused));
    two.one.errors = 0;
    REQUIRE(connects_to(&two, open_address()));
    REQUIRE(connects_and_shakes(base, &two));
    REQUIRE(two.one.connected == 1 && tls_talk(base, &two));
    tls_close(&two);
    SSL_free(ssl);
    return true;
}

bool tls_connect_by_address_in_either_version(struct event_base *base)
{
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_pair two;
        REQUIRE(tls_open_unconnected(base, &two, BEV_OPT_CLOSE_ON_FREE));
        SSL_set_max_proto_version(bufferevent_openssl_get_ssl(two.one.bev), version);
        bufferevent_enable(two.one.bev, EV_READ | EV_WRITE);
        bufferevent_write(two.one.bev, "early", 5);
        REQUIRE(connects_to(&two, open_address()));
        REQUIRE(connects_and_shakes(base, &two));
        REQUIRE(SSL_version(two.peer.ssl) == version);
        std::string got;
        REQUIRE(tls_peer_reads(base, &two.peer, &got, 5) && got == "early");
        REQUIRE(tls_talk(base, &two) && two.one.connected == 1 && !two.one.wrong_thread);
        tls_close(&two);
    }
    return true;
}

void answer_any_name(struct evdns_server_request *request, void *)
{
    for (int i = 0; i < request->nquestions; ++i) {
        ev_uint32_t address = htonl(INADDR_LOOPBACK);
        if (request->questions[i]->type == EVDNS_TYPE_A)
            evdns_server_request_add_a_reply(request, request->questions[i]->name, 1, &address, 60);
    }
    evdns_server_request_respond(request, 0);
}

struct evdns_base *own_resolver(struct event_base *base, struct evdns_server_port **server)
{
    SOCKET udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    int length = sizeof(address);
    auto *any = reinterpret_cast<struct sockaddr *>(&address);
    evutil_make_socket_nonblocking(static_cast<evutil_socket_t>(udp));
    if (bind(udp, any, length) != 0 || getsockname(udp, any, &length) != 0)
        return nullptr;
    *server = evdns_add_server_port_with_base(base, static_cast<evutil_socket_t>(udp), 0, answer_any_name, nullptr);
    struct evdns_base *made = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    return evdns_base_nameserver_sockaddr_add(made, any, length, 0) == 0 ? made : nullptr;
}

bool tls_connect_by_name(struct event_base *base)
{
    struct evdns_server_port *server = nullptr;
    struct evdns_base *names = own_resolver(base, &server);
    REQUIRE(names != nullptr);
    struct {
        struct evdns_base *names;
        const char *host;
    } const ways[] = {{nullptr, "127.0.0.1"}, {names, "127.0.0.1"}, {names, "some.host.test"}};
    for (const auto &way : ways) {
        tls_pair two;
        REQUIRE(tls_open_unconnected(base, &two, BEV_OPT_CLOSE_ON_FREE));
        REQUIRE(bufferevent_socket_connect_hostname(two.one.bev, way.names, AF_INET, way.host,
                                                    ntohs(open_address().sin_port)) == 0);
        REQUIRE(run_until(base, [&] { return bufferevent_getfd(two.one.bev) != -1; }));
        REQUIRE(connects_and_shakes(base, &two));
        REQUIRE(tls_talk(base, &two) && two.one.connected == 1);
        REQUIRE(bufferevent_socket_get_dns_error(two.one.bev) == 0);
        tls_close(&two);
    }
    evdns_base_free(names, 0);
    evdns_close_server_port(server);
    return true;
}

struct greeter {
    record told[accepted_clients];
    int accepted;
};

void greet(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *, int, void *argument)
{
    auto *self = static_cast<greeter *>(argument);
    record *one = &self->told[self->accepted++ % accepted_clients];
    one->bev =
        bufferevent_openssl_socket_new(evconnlistener_get_base(listener), fd, tls_new(), BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    note_callbacks(one);
    bufferevent_enable(one->bev, EV_READ | EV_WRITE);
    bufferevent_write(one->bev, "welcome", 7);
}

bool accepts_many(struct event_base *base, bool with_first_data)
{
    static greeter host;
    host = greeter();
    struct sockaddr_in address = open_address();
    address.sin_port = 0;
    int length = sizeof(address);
    auto *any = reinterpret_cast<struct sockaddr *>(&address);
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, greet, &host, LEV_OPT_CLOSE_ON_FREE, -1, any, sizeof(address));
    REQUIRE(listener != nullptr);
    REQUIRE(!with_first_data || ask_for_first_data(listener));
    getsockname(static_cast<SOCKET>(evconnlistener_get_fd(listener)), any, &length);
    connection on[accepted_clients] = {};
    tls_end clients[accepted_clients];
    std::string got[accepted_clients];
    for (int i = 0; i < accepted_clients; ++i) {
        on[i].far_end = raw_socket();
        connect(on[i].far_end, any, length);
        REQUIRE(tls_peer_on(&clients[i], &on[i], true));
    }
    REQUIRE(run_until(base, [&] {
        int greeted = 0;
        for (int i = 0; i < accepted_clients; ++i) {
            // A connect that is not through yet looks like an error.
            clients[i].broken = false;
            if (tls_peer_shakes(&clients[i]))
                tls_peer_receives(&clients[i], &got[i]);
            greeted += got[i] == "welcome";
        }
        return greeted == accepted_clients;
    }));
    for (int i = 0; i < accepted_clients; ++i) {
        REQUIRE(host.told[i].connected == 1 && host.told[i].errors == 0 && !host.told[i].wrong_thread);
        bufferevent_free(host.told[i].bev);
        tls_end_close(&clients[i]);
        closesocket(on[i].far_end);
    }
    evconnlistener_free(listener);
    return true;
}

bool tls_accepts_many(struct event_base *base)
{
    return accepts_many(base, false);
}

// The handshake's first bytes come with the connection.
bool tls_accepts_with_first_data(struct event_base *base)
{
    return accepts_many(base, event_base_get_method(base) == std::string("iocp"));
}

} // namespace

const guarantee tls_opening_guarantees[] = {
    {"row491_every_connect_of_one_bufferevent_is_told", row491_every_connect_of_one_bufferevent_is_told},
    {"row491_connect_after_a_refused_one", row491_connect_after_a_refused_one},
    {"tls_getfd_and_the_bio_name_the_descriptor", tls_getfd_and_the_bio_name_the_descriptor},
    {"tls_a_second_connect_changes_nothing", tls_a_second_connect_changes_nothing},
    {"tls_descriptor_is_learnt_from_the_ssl", tls_descriptor_is_learnt_from_the_ssl},
    {"tls_setfd_begins_anew", tls_setfd_begins_anew},
    {"tls_takes_over_from_a_plain_one", tls_takes_over_from_a_plain_one},
    {"tls_connect_by_address_in_either_version", tls_connect_by_address_in_either_version},
    {"tls_connect_by_name", tls_connect_by_name},
    {"tls_accepts_many", tls_accepts_many},
    {"tls_accepts_with_first_data", tls_accepts_with_first_data},
    {nullptr, nullptr},
};

} // namespace parity
